#include "runtime/exec/range_program.h"

#include <algorithm>

#include "runtime/base/log.h"
#include "runtime/exec/program_verifier.h"
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

// No part of a parameter's gradient comes from a later range.
bool own_all_gradients(const Model& model, const RangeProgram& program) {
  return std::none_of(program.received_gradients.begin(), program.received_gradients.end(),
                      [&](ValueId id) { return model.value(id).kind == ValueKind::kParameter; });
}

}  // namespace

Result<std::unique_ptr<const RangeProgram>> compile_range(const Model& model, LayerRange range,
                                                          const std::vector<LayerLayout>& layouts,
                                                          Mode mode,
                                                          const BackwardOptions& options) {
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
  StoragePlan storage(model, layouts, !options.one_in_flight, program.get());
  FT_RETURN_IF_ERROR(storage.make_kernels());
  storage.plan_forward();
  if (mode == Mode::kTrain) {
    BackwardOptions possible = options;
    possible.steps_by_layer = options.steps_by_layer && own_all_gradients(model, *program);
    plan_backward(model, possible, &storage, program.get());
    if (possible.steps_by_layer && !program->unused_gradients.empty()) {
      possible.steps_by_layer = false;
      return compile_range(model, range, layouts, mode, possible);
    }
    program->steps_by_layer = possible.steps_by_layer;
  }
  storage.place_work();
  BackwardOptions compiled = options;
  compiled.steps_by_layer = program->steps_by_layer;
  const Status proven = verify_program(model, layouts, *program, compiled);
  if (!proven.ok()) log_error("bug: the plan is wrong: %s", proven.message().c_str());
  FT_CHECK(proven.ok());
  return std::unique_ptr<const RangeProgram>(std::move(program));
}

}  // namespace ft
