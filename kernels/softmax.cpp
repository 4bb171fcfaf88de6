// Softmax: y = exp(x - m) / s along `axis`, with m the largest x and s the sum of the exponentials.
//   dx = y (dy - sum of dy y along the axis)
// https://onnx.ai/onnx/operators/onnx__Softmax.html (opset 13 on)

#include <cmath>

#include "kernels/axis_tiles.h"
#include "kernels/ops.h"

namespace ft {
namespace {

class SoftmaxKernel final : public Kernel {
 public:
  explicit SoftmaxKernel(const AxisShape& shape) : shape_(shape) {}

  void forward(const ForwardArgs& args) const override {
    const float* x = static_cast<const float*>(args.inputs[0]);
    float* y = static_cast<float*>(args.outputs[0]);
    for_axis_tiles(args.pool, shape_, [&](int64_t offset, int64_t columns) {
      forward_tile(x + offset, y + offset, columns);
    });
  }

  void backward(const BackwardArgs& args) const override {
    if (args.grad_inputs[0] == nullptr) return;
    const float* y = static_cast<const float*>(args.outputs[0]);
    const float* dy = args.grad_outputs[0];
    float* dx = args.grad_inputs[0];
    for_axis_tiles(args.pool, shape_, [&](int64_t offset, int64_t columns) {
      backward_tile(y + offset, dy + offset, dx + offset, columns);
    });
  }

 private:
  void forward_tile(const float* x, float* y, int64_t columns) const {
    float largest[kTileColumns];
    double sums[kTileColumns] = {};
    std::copy_n(x, columns, largest);
    for (int64_t i = 1; i < shape_.length; ++i) {
      const float* row = x + i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) largest[c] = std::max(largest[c], row[c]);
    }
    for (int64_t i = 0; i < shape_.length; ++i) {
      const int64_t at = i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) {
        y[at + c] = std::exp(x[at + c] - largest[c]);
        sums[c] += static_cast<double>(y[at + c]);
      }
    }
    float factors[kTileColumns];
    for (int64_t c = 0; c < columns; ++c) factors[c] = static_cast<float>(1.0 / sums[c]);
    for (int64_t i = 0; i < shape_.length; ++i) {
      float* row = y + i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) row[c] *= factors[c];
    }
  }

  void backward_tile(const float* y, const float* dy, float* dx, int64_t columns) const {
    double sums[kTileColumns] = {};
    for (int64_t i = 0; i < shape_.length; ++i) {
      const int64_t at = i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) sums[c] += static_cast<double>(dy[at + c] * y[at + c]);
    }
    for (int64_t i = 0; i < shape_.length; ++i) {
      const int64_t at = i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) {
        dx[at + c] = y[at + c] * (dy[at + c] - static_cast<float>(sums[c]));
      }
    }
  }

  const AxisShape shape_;
};

}  // namespace

Result<KernelPlan> make_softmax(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  FT_ASSIGN_OR_RETURN(const AxisShape shape, read_axis_shape(request));
  KernelPlan plan;
  plan.kernel = std::make_unique<SoftmaxKernel>(shape);
  plan.outputs = {request.inputs[0].type};
  plan.saved_outputs = 1;
  plan.in_place = true;
  plan.flops = 4.0 * static_cast<double>(plan.outputs[0].shape.element_count());
  return plan;
}

}  // namespace ft
