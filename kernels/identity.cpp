// Identity: y = x, dx = dy. No kernel runs.
// https://onnx.ai/onnx/operators/onnx__Identity.html

#include "kernels/ops.h"
#include "kernels/request.h"

namespace ft {

Result<KernelPlan> make_identity(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_input_count(request, 1, 1));
  return plan_view(request, request.inputs[0].type.shape);
}

}  // namespace ft
