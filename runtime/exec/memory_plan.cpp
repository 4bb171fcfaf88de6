#include "runtime/exec/memory_plan.h"

#include <algorithm>

namespace ft {
namespace {

// Measured on x86-64 (bench/memory.py): program and libraries 11 MiB, all else 1 MiB.
constexpr int64_t kProgramBytes = 12544 << 10;
// Of a thread that computes: its stack, what the C library gives it, what BLAS packs into. Panels
// of a matrix product are small (kernels/gemm.cpp), so that is a part of BLAS's 32 MiB.
constexpr int64_t kThreadBytes = 384 << 10;
// Of sockets, their threads, and messages that are neither here nor there.
constexpr int64_t kPeersBytes = 1 << 20;
// Of what is sent and received, frames that wait in the transport; and of the model file, when that
// comes through it.
constexpr int64_t kFramesPart = 4;
constexpr int64_t kFramesBytesMax = 3 << 20;
constexpr double kFileFramesShare = 0.4;
constexpr int64_t kFileFramesBytesMax = 8 << 20;
// Of a node: its values and kernels, in the model and in two programs.
constexpr int64_t kNodeBytes = 18 << 10;
// Of all that the range holds: measured 0 to 0.5 %.
constexpr int64_t kSparePart = 160;
// What a step writes and the next one reads.
constexpr int kInputsAhead = 1;

int64_t greatest_workspace(const RangeProgram& program) {
  int64_t greatest = 0;
  for (const KernelPlan& plan : program.plans) {
    greatest = std::max({greatest, plan.forward_workspace_bytes, plan.backward_workspace_bytes});
  }
  return greatest;
}

int64_t bytes_of(const Model& model, const std::vector<ValueId>& ids) {
  int64_t bytes = 0;
  for (const ValueId id : ids) bytes += model.value(id).type.bytes();
  return bytes;
}

// What the file says and no training changes: frozen weights above all.
int64_t constant_bytes(const Model& model) {
  int64_t bytes = 0;
  for (const Value& value : model.values) {
    if (value.kind == ValueKind::kConstant) bytes += value.type.bytes();
  }
  return bytes;
}

// Frozen ones stay the same buffers from batch to batch.
bool moves_statistics(const Model& model, int layer) {
  const std::vector<ValueId>& own = model.layers[static_cast<size_t>(layer)].statistics;
  return std::any_of(model.values.begin(), model.values.end(), [&](const Value& value) {
    return value.kind == ValueKind::kUpdate &&
           std::find(own.begin(), own.end(), value.updates) != own.end();
  });
}

// Samples that central hands out and what the last range makes of them; whatever else crosses the
// range's edges are messages. An evaluation's are handed out two for each stage.
void plan_edges(const Model& model, const RangeProgram& program, int micro_batches, int in_flight,
                bool evaluates, MemoryPlan* plan) {
  const bool is_last = program.range.last == model.layer_count();
  const int64_t inputs = bytes_of(model, program.inputs);
  const int64_t outputs = bytes_of(model, program.outputs);
  if (program.range.first == 0) {
    const int batches = micro_batches > 1 ? 2 * micro_batches : in_flight + kInputsAhead;
    plan->batch_bytes += (batches + (evaluates ? 2 * in_flight : 0)) * inputs;
  } else {
    // Those in flight and one that has come before its turn; gradients that are on their way.
    plan->message_bytes += (in_flight + kInputsAhead + (evaluates ? 1 : 0)) * inputs;
    plan->message_bytes += 2 * bytes_of(model, program.sent_gradients);
  }
  if (is_last) {
    plan->batch_bytes += 2 * outputs;
  } else {
    plan->message_bytes += in_flight * outputs;
    plan->message_bytes += 2 * bytes_of(model, program.received_gradients);
  }
}

}  // namespace

TrainerOptions at_place(const TrainerOptions& options, int in_flight) {
  TrainerOptions placed = options;
  placed.one_in_flight = in_flight == 1;
  placed.steps_by_layer = true;
  placed.defers_gradients = false;
  return placed;
}

ProcessBytes plan_process(const Model& model, const ProcessMemory& process) {
  ProcessBytes bytes;
  bytes.file_bytes = process.keeps_file ? process.file_bytes : 0;
  bytes.data_bytes = process.data_bytes;
  bytes.process_bytes = kProgramBytes + process.threads * kThreadBytes +
                        static_cast<int64_t>(model.nodes.size()) * kNodeBytes +
                        (process.has_peers ? kPeersBytes : 0) + constant_bytes(model);
  // The file, Protobuf's copy of it, and one tensor on its way from there into the model.
  int64_t largest = 0;
  for (const Value& value : model.values) {
    if (value.kind == ValueKind::kParameter) largest = std::max(largest, value.type.bytes());
  }
  bytes.start_bytes = bytes.process_bytes + bytes.data_bytes + 2 * process.file_bytes + largest;
  if (process.has_peers) {
    const auto frames =
        static_cast<int64_t>(kFileFramesShare * static_cast<double>(process.file_bytes));
    bytes.start_bytes += std::min(kFileFramesBytesMax, frames);
  }
  return bytes;
}

Result<MemoryPlan> plan_memory(const Model& model, LayerRange range, const TrainerOptions& options,
                               int in_flight, const ProcessMemory& process) {
  std::vector<LayerLayout> layouts;
  for (int layer = 0; layer < model.layer_count(); ++layer) {
    layouts.push_back(layer_layout(model, layer, options.optimizer));
  }
  const BackwardOptions backward = backward_options(at_place(options, in_flight), range);
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<const RangeProgram> train,
                      compile_range(model, range, layouts, Mode::kTrain, backward));
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<const RangeProgram> infer,
                      compile_range(model, range, layouts, Mode::kInfer));
  const bool is_async = options.micro_batches == 1;
  // Forward passes are that many batches ahead of the newest version, and as many are kept.
  const int chain = is_async && in_flight > 1 ? 2 * in_flight : 1;
  MemoryPlan plan;
  for (int layer = range.first; layer < range.last; ++layer) {
    const LayerLayout& layout = layouts[static_cast<size_t>(layer)];
    plan.parameter_bytes += layout.parameter_count * 4;
    plan.optimizer_bytes += layout.parameter_count * layout.slot_count * 4;
    const int copies = 1 + (moves_statistics(model, layer) ? chain : 1);
    plan.statistic_bytes += copies * layout.statistic_bytes();
    plan.cut_bytes += layout.snapshot_bytes();
  }
  // One version is overwritten; more than one in flight read those of as many batches.
  if (is_async && in_flight > 1) plan.version_bytes = in_flight * plan.cut_bytes;
  if (!train->steps_by_layer) {
    plan.gradient_bytes = plan.parameter_bytes * (options.micro_batches > 1 ? 2 : 1);
  }
  plan.stash_bytes = train->stash_bytes * in_flight;
  plan.work_bytes = std::max(train->work_bytes, infer->work_bytes);
  plan.kept_bytes = train->kept_bytes;
  plan.column_bytes = greatest_workspace(*train);
  plan_edges(model, *train, options.micro_batches, in_flight, process.evaluates, &plan);
  if (range.count() < model.layer_count()) {
    plan.message_bytes +=
        std::min(kFramesBytesMax, (plan.cut_bytes + plan.message_bytes) / kFramesPart);
  }
  plan.spare_bytes = plan.range_bytes() / kSparePart;
  const ProcessBytes around = plan_process(model, process);
  plan.file_bytes = around.file_bytes;
  plan.data_bytes = around.data_bytes;
  plan.process_bytes = around.process_bytes;
  plan.start_bytes =
      std::max<int64_t>(0, around.start_bytes - plan.range_bytes() - around.held_bytes());
  return plan;
}

}  // namespace ft
