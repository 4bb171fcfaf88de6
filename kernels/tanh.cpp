// Tanh: y = tanh(x).
//   dx = dy (1 - y^2)
// https://onnx.ai/onnx/operators/onnx__Tanh.html

#include <cmath>

#include "kernels/ops.h"
#include "kernels/unary.h"

namespace ft {
namespace {

void forward(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = std::tanh(x[i]);
}

void backward(const float* y, const float* dy, float* dx, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * (1.0F - y[i] * y[i]);
}

}  // namespace

Result<KernelPlan> make_tanh(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  return plan_unary(request, Saved::kOutput, forward, backward);
}

}  // namespace ft
