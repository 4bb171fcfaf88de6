// AveragePool: y[p] = sum of x in the window of p / count; dx[q] = sum of dy[p] / count over the
// windows that hold q. count is the window's elements inside the input or, with count_include_pad,
// inside the padded input (what ceil_mode adds beyond the padding never counts).
// https://onnx.ai/onnx/operators/onnx__AveragePool.html

#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/pool_shape.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

class AveragePool : public Kernel {
 public:
  AveragePool(const PoolShape& shape, bool count_include_pad)
      : shape_(shape), count_include_pad_(count_include_pad) {}

  void forward(const ForwardArgs& args) const override {
    const Window& w = shape_.window;
    parallel_for_rows(args.pool, shape_.planes, w.input_plane(), [&](int64_t plane) {
      const float* x = static_cast<const float*>(args.inputs[0]) + plane * w.input_plane();
      float* const y = static_cast<float*>(args.outputs[0]) + plane * w.output_plane();
      for_windows(w, [&](int64_t out, const WindowSpan& span) {
        float sum = 0;
        for (int64_t ky = span.row_first; ky < span.row_last; ++ky) {
          const float* row = x + span.input + ky * w.input_width;
          for (int64_t kx = span.column_first; kx < span.column_last; ++kx) sum += row[kx];
        }
        y[out] = sum / count_of(out, span);
      });
    });
  }

  void backward(const BackwardArgs& args) const override {
    if (args.grad_inputs[0] == nullptr) return;
    const Window& w = shape_.window;
    parallel_for_rows(args.pool, shape_.planes, w.input_plane(), [&](int64_t plane) {
      const float* dy = args.grad_outputs[0] + plane * w.output_plane();
      float* const dx = args.grad_inputs[0] + plane * w.input_plane();
      loops::fill(0.0F, dx, w.input_plane());
      for_windows(w, [&](int64_t out, const WindowSpan& span) {
        const float part = dy[out] / count_of(out, span);
        for (int64_t ky = span.row_first; ky < span.row_last; ++ky) {
          float* const row = dx + span.input + ky * w.input_width;
          for (int64_t kx = span.column_first; kx < span.column_last; ++kx) row[kx] += part;
        }
      });
    });
  }

 private:
  float count_of(int64_t out, const WindowSpan& span) const {
    const Window& w = shape_.window;
    int64_t rows = span.row_last - span.row_first;
    int64_t columns = span.column_last - span.column_first;
    if (count_include_pad_) {
      const int64_t top = w.input_row(out / w.output_width, 0);
      const int64_t left = w.input_column(out % w.output_width, 0);
      rows = std::min(w.kernel_height, w.input_height + w.pad_bottom - top);
      columns = std::min(w.kernel_width, w.input_width + w.pad_right - left);
    }
    return static_cast<float>(rows * columns);
  }

  PoolShape shape_;
  bool count_include_pad_;
};

}  // namespace

Result<KernelPlan> make_average_pool(const OpRequest& request) {
  FT_ASSIGN_OR_RETURN(const PoolShape shape, parse_pool(request));
  FT_ASSIGN_OR_RETURN(const int64_t count_include_pad,
                      request.attributes->get_int("count_include_pad", 0));
  KernelPlan plan = pool_plan(shape, request);
  plan.kernel = std::make_unique<AveragePool>(shape, count_include_pad != 0);
  return plan;
}

}  // namespace ft
