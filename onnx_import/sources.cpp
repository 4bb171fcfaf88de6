#include "onnx_import/sources.h"

namespace ft {

Result<ValueId> bind_input(const OnnxGraph& graph, int64_t batch, ModelBuilder* builder) {
  if (graph.inputs.size() != 1) {
    const std::string second =
        graph.inputs.size() > 1 ? " (the second is '" + graph.inputs[1].name + "')" : "";
    return invalid_error(
        "the model has %zu inputs%s; exactly one, the samples, is supported: export a model that "
        "takes one tensor and holds the rest as constants",
        graph.inputs.size(), second.c_str());
  }
  const OnnxInput& input = graph.inputs[0];
  if (!input.is_float) {
    return invalid_error("input '%s' is not float32: export the model for float32 samples",
                         input.name.c_str());
  }
  if (input.dims.empty()) {
    return invalid_error(
        "input '%s' has no dimensions; the first one must be the batch: export with an example "
        "batch of samples",
        input.name.c_str());
  }
  std::vector<int64_t> dims = {batch};
  for (size_t i = 1; i < input.dims.size(); ++i) {
    if (input.dims[i].is_symbolic) {
      return invalid_error(
          "input '%s': dimension %zu is not fixed; export with only the batch "
          "dimension in dynamic_axes",
          input.name.c_str(), i);
    }
    dims.push_back(input.dims[i].value);
  }
  if (batch < 1 || !is_sane(Shape(dims))) {
    return invalid_error("input '%s' of shape %s is too large: use a smaller --batch-size",
                         input.name.c_str(), to_string(Shape(dims)).c_str());
  }
  Value value;
  value.name = input.name;
  value.kind = ValueKind::kInput;
  value.type = {DType::kFloat32, Shape(dims)};
  const ValueId id = builder->add_value(value);
  builder->model().input = id;
  Binding& binding = builder->bind(input.name);
  binding.kind = Binding::Kind::kValue;
  binding.value_kind = ValueKind::kInput;
  binding.type = value.type;
  binding.logical = id;
  return id;
}

void bind_initializers(const OnnxGraph& graph, ModelBuilder* builder) {
  std::map<std::string, int> readers;
  std::vector<std::string> order;
  for (const OnnxNode& node : graph.nodes) {
    for (const std::string& name : node.inputs) {
      if (graph.initializers.count(name) != 0 && ++readers[name] == 1) order.push_back(name);
    }
  }
  for (const auto& [name, constant] : graph.constants) {
    Binding& binding = builder->bind(name);
    binding.kind = Binding::Kind::kConstant;
    binding.constant = constant;
    binding.type = constant.type;
  }
  for (const std::string& name : order) {
    const Constant& tensor = graph.initializers.at(name);
    const auto decided = graph.roles.find(name);
    const TensorRole role = decided == graph.roles.end() ? TensorRole::kConstant : decided->second;
    ValueId id = kNoValue;
    if (role != TensorRole::kConstant && role != TensorRole::kBuffer) {
      Value value;
      value.name = name;
      value.kind = role == TensorRole::kTrained  ? ValueKind::kParameter
                   : role == TensorRole::kFrozen ? ValueKind::kConstant
                                                 : ValueKind::kStatistic;
      value.type = tensor.type;
      value.data = tensor.data;
      value.needs_gradient = role == TensorRole::kTrained;
      value.is_frozen = role == TensorRole::kFrozen;
      id = builder->add_value(std::move(value));
    }
    Binding& binding = builder->bind(name);
    binding.kind = id == kNoValue ? Binding::Kind::kConstant : Binding::Kind::kValue;
    binding.constant = tensor;
    binding.type = tensor.type;
    binding.logical = id;
    binding.is_shared = readers[name] > 1;
    if (id != kNoValue) binding.value_kind = builder->model().value(id).kind;
    binding.needs_gradient = role == TensorRole::kTrained;
  }
}

}  // namespace ft
