// GlobalAveragePool: y[c, n] = mean of a plane; dx = dy / plane's elements.
// https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html

#include <algorithm>

#include "kernels/chunked_sum.h"
#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/request.h"

namespace ft {
namespace {

class GlobalAveragePool : public Kernel {
 public:
  GlobalAveragePool(int64_t planes, int64_t plane) : planes_(planes), plane_(plane) {}

  void forward(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    if (plane_ == 1) {  // small images end so
      std::copy_n(x, planes_, y);
      return;
    }
    parallel_for_rows(args.pool, planes_, plane_, [&](int64_t row) {
      y[row] =
          static_cast<float>(chunked_sum(x + row * plane_, plane_) / static_cast<double>(plane_));
    });
  }

  void backward(const BackwardArgs& args) const override {
    float* const dx = args.grad_inputs[0];
    if (dx == nullptr) return;
    const float* dy = args.grad_outputs[0];
    if (plane_ == 1) {
      std::copy_n(dy, planes_, dx);
      return;
    }
    parallel_for_rows(args.pool, planes_, plane_, [&](int64_t row) {
      loops::fill(dy[row] / static_cast<float>(plane_), dx + row * plane_, plane_);
    });
  }

 private:
  int64_t planes_;
  int64_t plane_;
};

}  // namespace

Result<KernelPlan> make_global_average_pool(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  const Shape& x = request.inputs[0].type.shape;
  if (x.rank() < 3) {
    return invalid_error("input %s has no plane to average", to_string(x).c_str());
  }
  const int64_t plane = x.product(2, x.rank());
  if (plane < 1) return invalid_error("input %s is empty", map_text(x).c_str());
  Shape output = x;
  for (int axis = 2; axis < x.rank(); ++axis) output.set_dim(axis, 1);
  KernelPlan plan;
  plan.kernel = std::make_unique<GlobalAveragePool>(x.dim(0) * x.dim(1), plane);
  plan.outputs = {{DType::kFloat32, output}};
  plan.flops = static_cast<double>(x.element_count());
  return plan;
}

}  // namespace ft
