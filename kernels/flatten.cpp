// Flatten: y is x as a matrix, the dimensions before `axis` (1 unless given) as rows, the others as
// columns; dx = dy. No kernel runs.
// https://onnx.ai/onnx/operators/onnx__Flatten.html

#include "kernels/ops.h"
#include "kernels/request.h"

namespace ft {

Result<KernelPlan> make_flatten(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_input_count(request, 1, 1));
  const Shape& shape = request.inputs[0].type.shape;
  FT_ASSIGN_OR_RETURN(const int64_t given, request.attributes->get_int("axis", 1));
  int axis = shape.rank();  // allowed here: everything is one row then
  if (given != shape.rank()) {
    FT_ASSIGN_OR_RETURN(axis, normalise_axis(given, shape.rank()));
  }
  return plan_view(request, {shape.product(0, axis), shape.product(axis, shape.rank())});
}

}  // namespace ft
