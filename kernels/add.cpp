// Add: y = a + b, with broadcasting.
//   da = dy, db = dy, summed over repeated axes
// https://onnx.ai/onnx/operators/onnx__Add.html

#include <cstring>

#include "kernels/broadcast.h"
#include "kernels/ops.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

void forward(const BinaryRow& row, float* y) {
  if (row.a_varies && row.b_varies) {
    loops::add(row.a, row.b, y, row.count);
  } else if (row.a_varies) {
    loops::add_scalar(row.a, *row.b, y, row.count);
  } else {
    loops::add_scalar(row.b, *row.a, y, row.count);
  }
}

void backward(const BinaryRow& row, const float* grad_y, float* grad_input) {
  if (grad_input == grad_y) return;
  std::memcpy(grad_input, grad_y, static_cast<size_t>(row.count) * sizeof(float));
}

}  // namespace

Result<KernelPlan> make_add(const OpRequest& request) {
  return make_binary(request, {.forward = forward, .backward_a = backward, .backward_b = backward});
}

}  // namespace ft
