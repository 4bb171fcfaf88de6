#include "onnx_import/layout.h"

#include <algorithm>
#include <string_view>

namespace ft {
namespace {

// A parameter that is read elsewhere, too, and lacks the batch axis cannot be brought into CNHW
// order by a Transpose: the operation stays in the file's order then.
bool can_swap(const LayoutInput& input, int rank) {
  if (!input.is_present) return true;
  if (!input.is_fixed) return input.shape.rank() == rank;
  const int lacking = rank - input.shape.rank();
  return lacking == 0 || lacking >= 2 || !input.is_shared;
}

}  // namespace

LayoutChoice choose_layout(const Op& op, std::span<const LayoutInput> inputs) {
  LayoutChoice choice;
  choice.inputs.assign(inputs.size(), Order::kLogical);
  if (inputs.empty()) return choice;
  if (op.layout == LayoutRule::kFeatureMap) {
    choice.rank = inputs[0].shape.rank();
    if (inputs[0].shape.rank() >= 3) {
      choice.inputs[0] = Order::kSwapped;
      choice.first_output = Order::kSwapped;
    }
    return choice;
  }
  if (op.layout == LayoutRule::kRowMajor) return choice;
  int rank = 0;
  bool is_swapped = false;
  for (const LayoutInput& input : inputs) {
    rank = std::max(rank, input.shape.rank());
    is_swapped = is_swapped || input.is_swapped;
  }
  for (const LayoutInput& input : inputs) is_swapped = is_swapped && can_swap(input, rank);
  choice.rank = rank;
  if (is_swapped) {
    choice.inputs.assign(inputs.size(), Order::kSwapped);
    choice.first_output = choice.other_outputs = Order::kSwapped;
  }
  return choice;
}

Shape swap_first_axes(const Shape& shape) {
  Shape swapped = shape;
  swapped.set_dim(0, shape.dim(1));
  swapped.set_dim(1, shape.dim(0));
  return swapped;
}

Shape swapped_operand_shape(const Shape& shape, int rank) {
  if (shape.rank() + 1 == rank) {
    std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
    dims.insert(dims.begin() + 1, 1);
    return Shape(dims);
  }
  return shape.rank() == rank ? swap_first_axes(shape) : shape;
}

bool keeps_bytes(const Shape& shape, int rank) {
  return shape.rank() < rank || shape.dim(0) == 1 || shape.dim(1) == 1;
}

Status swap_axis(const Op& op, int rank, Attributes* attributes) {
  const std::string_view name = op.name;
  const bool counts_from_end = name == "Softmax" || name == "LogSoftmax";
  int64_t axis = counts_from_end ? -1 : 0;
  const auto found = attributes->values().find("axis");
  if (found != attributes->values().end()) {
    const int64_t* given = std::get_if<int64_t>(&found->second);
    if (given == nullptr) return invalid_error("attribute 'axis' is not an integer");
    axis = *given;
  }
  if (axis < -rank || axis >= rank) {
    return invalid_error("axis %lld does not exist in rank %d", static_cast<long long>(axis), rank);
  }
  if (axis < 0) axis += rank;
  attributes->set("axis", axis < 2 ? 1 - axis : axis);
  return {};
}

}  // namespace ft
