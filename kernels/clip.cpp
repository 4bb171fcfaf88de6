// Clip: y = min(max(x, low), high); a bound that is left out does not bind.
//   dx = low < x && x < high ? dy : 0
// https://onnx.ai/onnx/operators/onnx__Clip.html
//
// On a bound nothing passes: the rule of PyTorch's ReLU6 and hardtanh. Its clamp() lets the
// gradient pass there, but the export writes both as Clip, and ReLU6 is what models use.
// low < y < high says the same as low < x < high, so y is saved and x may be overwritten.

#include <limits>

#include "kernels/ops.h"
#include "kernels/simd/loops.h"
#include "kernels/unary.h"

namespace ft {

Result<KernelPlan> make_clip(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 3));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  FT_ASSIGN_OR_RETURN(const float low, constant_float(request, 1, "min", -kInfinity));
  FT_ASSIGN_OR_RETURN(const float high, constant_float(request, 2, "max", kInfinity));
  const auto forward = [low, high](const float* x, float* y, int64_t n) {
    loops::clip(x, low, high, y, n);
  };
  const auto backward = [low, high](const float* y, const float* dy, float* dx, int64_t n) {
    loops::clip_backward(y, dy, low, high, dx, n);
  };
  return plan_unary(request, Saved::kOutput, forward, backward);
}

}  // namespace ft
