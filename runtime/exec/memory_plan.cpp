#include "runtime/exec/memory_plan.h"

#include <algorithm>

namespace ft {
namespace {

// Measured on x86-64: program and libraries 10 MiB, threads and small blocks 3 MiB.
constexpr int64_t kProcessBytes = int64_t{13} << 20;
// Of its 32 MiB OpenBLAS touches what it packs into: 8 MiB where matrices are large, next to
// nothing in a LeNet.
constexpr int64_t kPackedBytesMax = int64_t{8} << 20;
// This batch and the next one.
constexpr int kBatchesHeld = 2;

int64_t greatest_workspace(const RangeProgram& program) {
  int64_t greatest = 0;
  for (const KernelPlan& plan : program.plans) {
    greatest = std::max({greatest, plan.forward_workspace_bytes, plan.backward_workspace_bytes});
  }
  return greatest;
}

}  // namespace

Result<MemoryPlan> plan_memory(const Model& model, LayerRange range, const TrainerOptions& options,
                               int in_flight) {
  std::vector<LayerLayout> layouts;
  for (int layer = 0; layer < model.layer_count(); ++layer) {
    layouts.push_back(layer_layout(model, layer, options.optimizer));
  }
  FT_ASSIGN_OR_RETURN(
      const std::unique_ptr<const RangeProgram> train,
      compile_range(model, range, layouts, Mode::kTrain, backward_options(options, range)));
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<const RangeProgram> infer,
                      compile_range(model, range, layouts, Mode::kInfer));
  MemoryPlan plan;
  for (int layer = range.first; layer < range.last; ++layer) {
    const LayerLayout& layout = layouts[static_cast<size_t>(layer)];
    plan.parameter_bytes += layout.parameter_count * 4;
    plan.optimizer_bytes += layout.parameter_count * layout.slot_count * 4;
    plan.statistic_bytes += 2 * layout.statistic_bytes();
    plan.cut_bytes += layout.snapshot_bytes();
  }
  // One version is overwritten; more than one in flight read those of as many batches.
  const bool is_async = options.micro_batches == 1;
  if (is_async && in_flight > 1) plan.version_bytes = in_flight * plan.cut_bytes;
  if (!train->steps_by_layer) {
    plan.gradient_bytes = plan.parameter_bytes * (options.micro_batches > 1 ? 2 : 1);
  }
  plan.stash_bytes = train->stash_bytes * in_flight;
  plan.work_bytes = std::max(train->work_bytes, infer->work_bytes);
  plan.kept_bytes = train->kept_bytes;
  plan.column_bytes = greatest_workspace(*train);
  for (const ValueId id : train->inputs) plan.batch_bytes += model.value(id).type.bytes();
  plan.batch_bytes *= kBatchesHeld * options.micro_batches;
  for (const ValueId id : train->outputs) plan.batch_bytes += 2 * model.value(id).type.bytes();
  plan.process_bytes =
      kProcessBytes + std::min(kPackedBytesMax, (plan.stash_bytes + plan.work_bytes) / 16);
  return plan;
}

}  // namespace ft
