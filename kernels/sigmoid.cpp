// Sigmoid: y = 1 / (1 + exp(-x)).
//   dx = dy y (1 - y)
// https://onnx.ai/onnx/operators/onnx__Sigmoid.html
//
// exp(-x) overflows to infinity below -88 and y is 0 then, as it should be.

#include <cmath>

#include "kernels/ops.h"
#include "kernels/unary.h"

namespace ft {
namespace {

void forward(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = 1.0F / (1.0F + std::exp(-x[i]));
}

void backward(const float* y, const float* dy, float* dx, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * (y[i] * (1.0F - y[i]));
}

}  // namespace

Result<KernelPlan> make_sigmoid(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  return plan_unary(request, Saved::kOutput, forward, backward);
}

}  // namespace ft
