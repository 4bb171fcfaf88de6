// LeakyRelu: y = x > 0 ? x : alpha x, alpha 0.01 unless given.
//   dx = x > 0 ? dy : alpha dy
// https://onnx.ai/onnx/operators/onnx__LeakyRelu.html
//
// With alpha >= 0, y has the sign of x and is saved in its place.

#include "kernels/ops.h"
#include "kernels/simd/loops.h"
#include "kernels/unary.h"

namespace ft {

Result<KernelPlan> make_leaky_relu(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  FT_ASSIGN_OR_RETURN(const float alpha, request.attributes->get_float("alpha", 0.01F));
  const auto forward = [alpha](const float* x, float* y, int64_t n) {
    loops::leaky_relu(x, alpha, y, n);
  };
  const auto backward = [alpha](const float* saved, const float* dy, float* dx, int64_t n) {
    loops::leaky_relu_backward(saved, dy, alpha, dx, n);
  };
  return plan_unary(request, alpha >= 0 ? Saved::kOutput : Saved::kInput, forward, backward);
}

}  // namespace ft
