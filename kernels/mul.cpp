// Mul: y = a b, with broadcasting.
//   da = dy b, db = dy a, summed over repeated axes
// https://onnx.ai/onnx/operators/onnx__Mul.html

#include "kernels/broadcast.h"
#include "kernels/ops.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

void multiply(const float* x, const float* factor, bool factor_varies, float* out, int64_t n) {
  if (factor_varies) {
    loops::mul(x, factor, out, n);
  } else {
    loops::scale(x, *factor, out, n);
  }
}

void forward(const BinaryRow& row, float* y) {
  if (row.a_varies) {
    multiply(row.a, row.b, row.b_varies, y, row.count);
  } else {
    multiply(row.b, row.a, row.a_varies, y, row.count);
  }
}

void backward_a(const BinaryRow& row, const float* grad_y, float* grad_a) {
  multiply(grad_y, row.b, row.b_varies, grad_a, row.count);
}

void backward_b(const BinaryRow& row, const float* grad_y, float* grad_b) {
  multiply(grad_y, row.a, row.a_varies, grad_b, row.count);
}

}  // namespace

Result<KernelPlan> make_mul(const OpRequest& request) {
  return make_binary(request, {.forward = forward,
                               .backward_a = backward_a,
                               .backward_b = backward_b,
                               .backward_a_reads = kReadsB,
                               .backward_b_reads = kReadsA});
}

}  // namespace ft
