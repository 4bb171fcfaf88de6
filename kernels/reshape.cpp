// Reshape: y is x under another shape; dx = dy. No kernel runs.
// https://onnx.ai/onnx/operators/onnx__Reshape.html
//
// In `shape`, 0 keeps the input's dimension (with allowzero=1 it is a dimension of 0), and one -1
// takes what is left.

#include <cinttypes>

#include "kernels/ops.h"
#include "kernels/request.h"

namespace ft {
namespace {

std::string to_text(const std::vector<int64_t>& dims) {
  std::string text = "[";
  for (const int64_t dim : dims) text += (text.size() > 1 ? ", " : "") + std::to_string(dim);
  return text + "]";
}

Result<Shape> reshaped(const Shape& input, const std::vector<int64_t>& target, bool allow_zero) {
  if (target.size() > static_cast<size_t>(kRankMax)) {
    return invalid_error("shape %s has more than %d dimensions", to_text(target).c_str(), kRankMax);
  }
  Shape shape{std::span<const int64_t>(target)};
  int rest_axis = -1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int64_t dim = shape.dim(axis);
    if (dim == 0 && !allow_zero) {
      if (axis >= input.rank()) {
        return invalid_error("shape %s keeps dimension %d, which %s does not have",
                             to_text(target).c_str(), axis, to_string(input).c_str());
      }
      shape.set_dim(axis, input.dim(axis));
    } else if (dim == -1 && rest_axis < 0) {
      rest_axis = axis;
      shape.set_dim(axis, 1);
    } else if (dim < 0) {
      return invalid_error("shape %s: a dimension is at least -1, and only one is -1",
                           to_text(target).c_str());
    }
  }
  if (rest_axis >= 0) {
    const int64_t others = is_sane(shape) ? shape.element_count() : 0;
    if (others == 0 || input.element_count() % others != 0) {
      return invalid_error("%" PRId64 " elements (%s) do not fit shape %s", input.element_count(),
                           to_string(input).c_str(), to_text(target).c_str());
    }
    shape.set_dim(rest_axis, input.element_count() / others);
  }
  if (!is_sane(shape) || shape.element_count() != input.element_count()) {
    return invalid_error("%" PRId64 " elements (%s) do not fit shape %s", input.element_count(),
                         to_string(input).c_str(), to_text(target).c_str());
  }
  return shape;
}

}  // namespace

Result<KernelPlan> make_reshape(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_input_count(request, 2, 2));
  FT_ASSIGN_OR_RETURN(const auto target, constant_ints(request, 1, "shape"));
  FT_ASSIGN_OR_RETURN(const int64_t allow_zero, request.attributes->get_int("allowzero", 0));
  FT_ASSIGN_OR_RETURN(const Shape shape,
                      reshaped(request.inputs[0].type.shape, target, allow_zero != 0));
  return plan_view(request, shape);
}

}  // namespace ft
