#pragma once

// The frame of an operator y = f(x), element by element. An op's file gives two loops over n
// elements; both may run in place:
//   forward(x, y, n)
//   backward(saved, dy, dx, n)   saved is x or y, as Saved says
// Backward prefers y: x may then be overwritten.

#include <utility>

#include "kernels/op.h"
#include "kernels/parallel.h"
#include "kernels/request.h"

namespace ft {

enum class Saved : uint8_t { kInput, kOutput };

template <typename Forward, typename Backward>
class UnaryKernel final : public Kernel {
 public:
  UnaryKernel(int64_t count, Saved saved, Forward forward_loop, Backward backward_loop)
      : count_(count), saved_(saved), forward_(forward_loop), backward_(backward_loop) {}

  void forward(const ForwardArgs& args) const override {
    const float* x = static_cast<const float*>(args.inputs[0]);
    float* y = static_cast<float*>(args.outputs[0]);
    parallel_for_elements(args.pool, count_, [&](int64_t first, int64_t last) {
      forward_(x + first, y + first, last - first);
    });
  }

  void backward(const BackwardArgs& args) const override {
    float* dx = args.grad_inputs[0];
    if (dx == nullptr) return;
    const float* dy = args.grad_outputs[0];
    const float* saved =
        static_cast<const float*>(saved_ == Saved::kInput ? args.inputs[0] : args.outputs[0]);
    parallel_for_elements(args.pool, count_, [&](int64_t first, int64_t last) {
      backward_(saved + first, dy + first, dx + first, last - first);
    });
  }

 private:
  const int64_t count_;
  const Saved saved_;
  const Forward forward_;
  const Backward backward_;
};

// The plan of a unary operator whose input 0 was checked to be float32.
template <typename Forward, typename Backward>
KernelPlan plan_unary(const OpRequest& request, Saved saved, Forward forward, Backward backward) {
  const TensorType& type = request.inputs[0].type;
  KernelPlan plan;
  plan.kernel = std::make_unique<UnaryKernel<Forward, Backward>>(type.shape.element_count(), saved,
                                                                 forward, backward);
  plan.outputs = {type};
  (saved == Saved::kInput ? plan.saved_inputs : plan.saved_outputs) = 1;
  plan.in_place = true;
  plan.recomputes = true;
  plan.flops = static_cast<double>(type.shape.element_count());
  return plan;
}

}  // namespace ft
