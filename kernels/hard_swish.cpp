// HardSwish: y = x max(0, min(1, x / 6 + 1/2)).
//   dx = x <= -3 ? 0 : x < 3 ? dy (x / 3 + 1/2) : dy
// https://onnx.ai/onnx/operators/onnx__HardSwish.html
//
// y falls and rises again between -3 and 0, so x has to be saved.

#include <algorithm>

#include "kernels/ops.h"
#include "kernels/unary.h"

namespace ft {
namespace {

void forward(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] * std::clamp(x[i] * (1.0F / 6.0F) + 0.5F, 0.0F, 1.0F);
  }
}

void backward(const float* x, const float* dy, float* dx, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float inner = dy[i] * (x[i] * (1.0F / 3.0F) + 0.5F);
    dx[i] = x[i] <= -3.0F ? 0.0F : (x[i] < 3.0F ? inner : dy[i]);
  }
}

}  // namespace

Result<KernelPlan> make_hard_swish(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  return plan_unary(request, Saved::kInput, forward, backward);
}

}  // namespace ft
