#include "tests/graph_fuzz/judge_ops.h"

namespace ft::fuzz {

const JudgeOp* find_judge_op(std::string_view name) {
  for (const auto list : {elementwise_judges(), map_judges(), matrix_judges(), shape_judges()}) {
    for (const JudgeOp& op : list) {
      if (name == op.name) return &op;
    }
  }
  return nullptr;
}

int64_t int_of(const NodeCall& call, const char* name, int64_t fallback) {
  const auto found = call.node->attributes.find(name);
  return found == call.node->attributes.end() ? fallback : std::get<int64_t>(found->second);
}

double float_of(const NodeCall& call, const char* name, double fallback) {
  const auto found = call.node->attributes.find(name);
  if (found == call.node->attributes.end()) return fallback;
  return static_cast<double>(std::get<float>(found->second));
}

Dims ints_of(const NodeCall& call, const char* name, const Dims& fallback) {
  const auto found = call.node->attributes.find(name);
  return found == call.node->attributes.end() ? fallback : std::get<Dims>(found->second);
}

size_t axis_of(int64_t axis, size_t rank) {
  return static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis);
}

const Array* input_of(const NodeCall& call, size_t index) {
  return index < call.inputs.size() ? call.inputs[index] : nullptr;
}

}  // namespace ft::fuzz
