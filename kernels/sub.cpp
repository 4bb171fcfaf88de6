// Sub: y = a - b, with broadcasting.
//   da = dy, db = -dy, summed over repeated axes
// https://onnx.ai/onnx/operators/onnx__Sub.html

#include <cstring>

#include "kernels/broadcast.h"
#include "kernels/ops.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

void forward(const BinaryRow& row, float* y) {
  if (row.a_varies && row.b_varies) {
    loops::sub(row.a, row.b, y, row.count);
  } else if (row.a_varies) {
    loops::add_scalar(row.a, -*row.b, y, row.count);
  } else {
    for (int64_t i = 0; i < row.count; ++i) y[i] = *row.a - row.b[i];
  }
}

void backward_a(const BinaryRow& row, const float* grad_y, float* grad_a) {
  if (grad_a == grad_y) return;
  std::memcpy(grad_a, grad_y, static_cast<size_t>(row.count) * sizeof(float));
}

void backward_b(const BinaryRow& row, const float* grad_y, float* grad_b) {
  loops::scale(grad_y, -1.0F, grad_b, row.count);
}

}  // namespace

Result<KernelPlan> make_sub(const OpRequest& request) {
  return make_binary(request,
                     {.forward = forward, .backward_a = backward_a, .backward_b = backward_b});
}

}  // namespace ft
