// LogSoftmax: y = (x - m) - log s along `axis`, with m the largest x and s = sum of exp(x - m).
//   dx = dy - exp(y) (sum of dy along the axis)
// https://onnx.ai/onnx/operators/onnx__LogSoftmax.html (opset 13 on)

#include <cmath>

#include "kernels/axis_tiles.h"
#include "kernels/ops.h"

namespace ft {
namespace {

class LogSoftmaxKernel final : public Kernel {
 public:
  explicit LogSoftmaxKernel(const AxisShape& shape) : shape_(shape) {}

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
      const float* row = x + i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) {
        sums[c] += static_cast<double>(std::exp(row[c] - largest[c]));
      }
    }
    float logs[kTileColumns];
    for (int64_t c = 0; c < columns; ++c) logs[c] = static_cast<float>(std::log(sums[c]));
    for (int64_t i = 0; i < shape_.length; ++i) {
      const int64_t at = i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) y[at + c] = (x[at + c] - largest[c]) - logs[c];
    }
  }

  void backward_tile(const float* y, const float* dy, float* dx, int64_t columns) const {
    double sums[kTileColumns] = {};
    for (int64_t i = 0; i < shape_.length; ++i) {
      const float* row = dy + i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) sums[c] += static_cast<double>(row[c]);
    }
    for (int64_t i = 0; i < shape_.length; ++i) {
      const int64_t at = i * shape_.inner;
      for (int64_t c = 0; c < columns; ++c) {
        dx[at + c] = dy[at + c] - std::exp(y[at + c]) * static_cast<float>(sums[c]);
      }
    }
  }

  const AxisShape shape_;
};

}  // namespace

Result<KernelPlan> make_log_softmax(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  FT_ASSIGN_OR_RETURN(const AxisShape shape, read_axis_shape(request));
  KernelPlan plan;
  plan.kernel = std::make_unique<LogSoftmaxKernel>(shape);
  plan.outputs = {request.inputs[0].type};
  plan.saved_outputs = 1;
  plan.in_place = true;
  plan.flops = 4.0 * static_cast<double>(plan.outputs[0].shape.element_count());
  return plan;
}

}  // namespace ft
