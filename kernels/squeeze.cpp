// Squeeze: y is x without the dimensions `axes`, which are 1; without axes, without all that are 1.
// dx = dy. No kernel runs.
// https://onnx.ai/onnx/operators/onnx__Squeeze.html

#include <cinttypes>

#include "kernels/ops.h"
#include "kernels/request.h"

namespace ft {

Result<KernelPlan> make_squeeze(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_input_count(request, 1, 2));
  const Shape& shape = request.inputs[0].type.shape;
  const bool takes_all = !has_input(request, 1);
  std::vector<int64_t> axes;
  if (!takes_all) {
    FT_ASSIGN_OR_RETURN(axes, constant_ints(request, 1, "axes"));
  }
  FT_ASSIGN_OR_RETURN(const std::vector<bool> flags, axis_flags(axes, shape.rank()));
  std::vector<int64_t> dims;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool named = flags[static_cast<size_t>(axis)];
    if (named && shape.dim(axis) != 1) {
      return invalid_error("dimension %d of %s is %" PRId64 ", not 1", axis,
                           to_string(shape).c_str(), shape.dim(axis));
    }
    if (!named && !(takes_all && shape.dim(axis) == 1)) dims.push_back(shape.dim(axis));
  }
  return plan_view(request, Shape(dims));
}

}  // namespace ft
