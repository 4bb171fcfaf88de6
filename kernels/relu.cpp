// Relu: y = max(x, 0).
//   dx = y > 0 ? dy : 0   (nothing passes at 0, as in PyTorch)
// https://onnx.ai/onnx/operators/onnx__Relu.html

#include "kernels/ops.h"
#include "kernels/simd/loops.h"
#include "kernels/unary.h"

namespace ft {

Result<KernelPlan> make_relu(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  return plan_unary(request, Saved::kOutput, loops::relu, loops::relu_backward);
}

}  // namespace ft
