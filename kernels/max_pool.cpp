// MaxPool: y[p] = the largest x in the window of p, dx = dy at the place it came from. Of equal
// elements the first in row-major order wins; NaN wins over everything, so that it is seen.
// https://onnx.ai/onnx/operators/onnx__MaxPool.html
//
// The stash holds, per output, which element of the window won: 2 bytes.

#include <limits>

#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/pool_shape.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

class MaxPool : public Kernel {
 public:
  MaxPool(const PoolShape& shape, bool saves) : shape_(shape), saves_(saves) {}

  void forward(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    auto* const winners = reinterpret_cast<uint16_t*>(args.stash);
    const Window& w = shape_.window;
    parallel_for_rows(args.pool, shape_.planes, w.input_plane(), [&](int64_t plane) {
      const int64_t out = plane * w.output_plane();
      forward_plane(x + plane * w.input_plane(), y + out, saves_ ? winners + out : nullptr);
    });
  }

  void backward(const BackwardArgs& args) const override {
    float* const dx = args.grad_inputs[0];
    if (dx == nullptr) return;
    const auto* winners = reinterpret_cast<const uint16_t*>(args.stash);
    const Window& w = shape_.window;
    parallel_for_rows(args.pool, shape_.planes, w.input_plane(), [&](int64_t plane) {
      const int64_t out = plane * w.output_plane();
      backward_plane(args.grad_outputs[0] + out, winners + out, dx + plane * w.input_plane());
    });
  }

 private:
  void forward_plane(const float* x, float* y, uint16_t* winners) const {
    const Window& w = shape_.window;
    for_windows(w, [&](int64_t out, const WindowSpan& span) {
      float best = -std::numeric_limits<float>::infinity();
      int64_t winner = span.row_first * w.kernel_width + span.column_first;
      for (int64_t ky = span.row_first; ky < span.row_last; ++ky) {
        const float* row = x + span.input + ky * w.input_width;
        for (int64_t kx = span.column_first; kx < span.column_last; ++kx) {
          // No branches: which element wins cannot be predicted.
          const float value = row[kx];
          const bool wins = static_cast<int>(value > best) | static_cast<int>(value != value);
          best = wins ? value : best;
          winner = wins ? ky * w.kernel_width + kx : winner;
        }
      }
      y[out] = best;
      if (winners != nullptr) winners[out] = static_cast<uint16_t>(winner);
    });
  }

  void backward_plane(const float* dy, const uint16_t* winners, float* dx) const {
    const Window& w = shape_.window;
    loops::fill(0.0F, dx, w.input_plane());
    for_windows(w, [&](int64_t out, const WindowSpan& span) {
      const int64_t ky = winners[out] / w.kernel_width;
      const int64_t kx = winners[out] % w.kernel_width;
      dx[span.input + ky * w.input_width + kx] += dy[out];
    });
  }

  PoolShape shape_;
  bool saves_;  // for backward
};

}  // namespace

Result<KernelPlan> make_max_pool(const OpRequest& request) {
  FT_ASSIGN_OR_RETURN(const PoolShape shape, parse_pool(request));
  FT_ASSIGN_OR_RETURN(const int64_t storage_order, request.attributes->get_int("storage_order", 0));
  if (storage_order != 0) return invalid_error("storage_order=1 is not supported; export with 0");
  if (shape.window.kernel_area() > std::numeric_limits<uint16_t>::max()) {
    return invalid_error("a window of %lld elements is too large",
                         static_cast<long long>(shape.window.kernel_area()));
  }
  KernelPlan plan = pool_plan(shape, request);
  const bool saves = request.mode == Mode::kTrain;
  plan.kernel = std::make_unique<MaxPool>(shape, saves);
  plan.stash_bytes = saves ? plan.outputs[0].shape.element_count() * 2 : 0;
  return plan;
}

}  // namespace ft
