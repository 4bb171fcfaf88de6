// MaxPool: y[p] = the largest x in the window of p, dx = dy at the place it came from. Of equal
// elements the first in row-major order wins; NaN wins over everything, so that it is seen.
// https://onnx.ai/onnx/operators/onnx__MaxPool.html
//
// The stash holds, per output, which element of the window won: 2 bytes.

#include <array>
#include <limits>

#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/pool_shape.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

constexpr int64_t kRowOutputs = 64;

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
  // Outputs side by side, window element by window element: no branch depends on the data, and the
  // compiler makes vectors of it.
  struct Row {
    std::array<float, kRowOutputs> best;
    std::array<int32_t, kRowOutputs> winner;
  };

  void forward_plane(const float* x, float* y, uint16_t* winners) const {
    const Window& w = shape_.window;
    for (int64_t oy = 0; oy < w.output_height; ++oy) {
      for (int64_t first = 0; first < w.output_width; first += kRowOutputs) {
        const int64_t count = std::min(kRowOutputs, w.output_width - first);
        Row row;
        find_winners(x, oy, first, count, &row);
        const int64_t out = oy * w.output_width + first;
        std::copy_n(row.best.begin(), count, y + out);
        if (winners != nullptr) std::copy_n(row.winner.begin(), count, winners + out);
      }
    }
  }

  void find_winners(const float* x, int64_t oy, int64_t first, int64_t count, Row* row) const {
    const Window& w = shape_.window;
    const int64_t top = w.input_row(oy, 0);
    const int64_t row_first = std::max<int64_t>(0, -top);
    const int64_t row_last = std::min(w.kernel_height, w.input_height - top);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t column = std::max<int64_t>(0, -w.input_column(first + i, 0));
      row->best[static_cast<size_t>(i)] = -std::numeric_limits<float>::infinity();
      row->winner[static_cast<size_t>(i)] =
          static_cast<int32_t>(row_first * w.kernel_width + column);
    }
    for (int64_t ky = row_first; ky < row_last; ++ky) {
      const float* line = x + (top + ky) * w.input_width;
      for (int64_t kx = 0; kx < w.kernel_width; ++kx) {
        // Outputs for which this element lies inside the input.
        const int64_t base = w.input_column(first, kx);
        const int64_t from = base >= 0 ? 0 : ceil_div(-base, w.stride_width);
        const int64_t room = w.input_width - base;
        const int64_t to = room <= 0 ? 0 : std::min(count, ceil_div(room, w.stride_width));
        const auto element = static_cast<int32_t>(ky * w.kernel_width + kx);
        if (w.stride_width == 1) {
          challenge<1>(line + base, from, to, element, row);
        } else if (w.stride_width == 2) {
          challenge<2>(line + base, from, to, element, row);
        } else {
          challenge<0>(line + base, from, to, element, row);
        }
      }
    }
  }

  // Outputs [from, to) compare their best with this element of their windows. Stride 0: the
  // window's own.
  template <int64_t Stride>
  void challenge(const float* x, int64_t from, int64_t to, int32_t element, Row* row) const {
    const int64_t stride = Stride > 0 ? Stride : shape_.window.stride_width;
    float* const best = row->best.data();
    int32_t* const winner = row->winner.data();
    for (int64_t i = from; i < to; ++i) {
      const float value = x[i * stride];
      const bool wins = static_cast<int>(value > best[i]) | static_cast<int>(value != value);
      best[i] = wins ? value : best[i];
      winner[i] = wins ? element : winner[i];
    }
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
