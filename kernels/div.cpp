// Div: y = a / b, with broadcasting.
//   da = dy / b, db = -(dy / b) (a / b), summed over repeated axes
// https://onnx.ai/onnx/operators/onnx__Div.html
//
// With a constant divisor a is not kept.

#include "kernels/broadcast.h"
#include "kernels/ops.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

void divide(const float* x, const float* divisor, bool divisor_varies, float* out, int64_t n) {
  if (divisor_varies) {
    loops::div(x, divisor, out, n);
  } else {
    const float s = *divisor;  // x / s, not x * (1 / s): two roundings would differ from PyTorch
    for (int64_t i = 0; i < n; ++i) out[i] = x[i] / s;
  }
}

void forward(const BinaryRow& row, float* y) {
  if (row.a_varies) {
    divide(row.a, row.b, row.b_varies, y, row.count);
  } else {
    for (int64_t i = 0; i < row.count; ++i) y[i] = *row.a / row.b[i];
  }
}

void backward_a(const BinaryRow& row, const float* grad_y, float* grad_a) {
  divide(grad_y, row.b, row.b_varies, grad_a, row.count);
}

void backward_b(const BinaryRow& row, const float* grad_y, float* grad_b) {
  const int64_t a_step = row.a_varies ? 1 : 0;
  const int64_t b_step = row.b_varies ? 1 : 0;
  for (int64_t i = 0; i < row.count; ++i) {
    const float b = row.b[i * b_step];
    grad_b[i] = -(grad_y[i] / b) * (row.a[i * a_step] / b);
  }
}

}  // namespace

Result<KernelPlan> make_div(const OpRequest& request) {
  return make_binary(request, {.forward = forward,
                               .backward_a = backward_a,
                               .backward_b = backward_b,
                               .backward_a_reads = kReadsB,
                               .backward_b_reads = kReadsA | kReadsB});
}

}  // namespace ft
