#include "runtime/exec/range_program.h"

#include "runtime/exec/storage_plan.h"

namespace ft {
namespace {

std::vector<ValueId> with_gradient(const Model& model, const std::vector<ValueId>& values) {
  std::vector<ValueId> list;
  for (const ValueId id : values) {
    if (model.value(id).needs_gradient) list.push_back(id);
  }
  return list;
}

}  // namespace

Result<std::unique_ptr<const RangeProgram>> compile_range(const Model& model, LayerRange range,
                                                          const std::vector<LayerLayout>& layouts,
                                                          Mode mode, bool defers) {
  FT_CHECK(range.first >= 0 && range.first < range.last && range.last <= model.layer_count());
  auto program = std::make_unique<RangeProgram>();
  program->range = range;
  program->mode = mode;
  program->inputs =
      range.first == 0 ? std::vector<ValueId>{model.input} : crossing_values(model, range.first);
  program->outputs = crossing_values(model, range.last);
  if (mode == Mode::kTrain) {
    program->received_gradients = with_gradient(model, program->outputs);
    program->sent_gradients = with_gradient(model, program->inputs);
  }
  StoragePlan storage(model, layouts, program.get());
  FT_RETURN_IF_ERROR(storage.make_kernels());
  storage.plan_forward();
  if (mode == Mode::kTrain) plan_backward(model, defers, &storage, program.get());
  storage.place_work();
  return std::unique_ptr<const RangeProgram>(std::move(program));
}

}  // namespace ft
