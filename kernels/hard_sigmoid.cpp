// HardSigmoid: y = max(0, min(1, alpha x + beta)), alpha 0.2 and beta 0.5 unless given.
//   dx = 0 < y && y < 1 ? alpha dy : 0
// https://onnx.ai/onnx/operators/onnx__HardSigmoid.html

#include <algorithm>

#include "kernels/ops.h"
#include "kernels/unary.h"

namespace ft {

Result<KernelPlan> make_hard_sigmoid(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  FT_ASSIGN_OR_RETURN(const float alpha, request.attributes->get_float("alpha", 0.2F));
  FT_ASSIGN_OR_RETURN(const float beta, request.attributes->get_float("beta", 0.5F));
  const auto forward = [alpha, beta](const float* x, float* y, int64_t n) {
    // std::clamp keeps NaN.
    for (int64_t i = 0; i < n; ++i) y[i] = std::clamp(alpha * x[i] + beta, 0.0F, 1.0F);
  };
  const auto backward = [alpha](const float* y, const float* dy, float* dx, int64_t n) {
    for (int64_t i = 0; i < n; ++i) dx[i] = y[i] > 0.0F && y[i] < 1.0F ? alpha * dy[i] : 0.0F;
  };
  return plan_unary(request, Saved::kOutput, forward, backward);
}

}  // namespace ft
