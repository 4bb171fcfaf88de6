#pragma once

// What MaxPool and AveragePool share: planes of a feature map and the windows over one plane.

#include <algorithm>

#include "kernels/op.h"
#include "kernels/window.h"

namespace ft {

struct PoolShape {
  Window window;
  int64_t planes = 0;  // channels times images
};

// The part of a window that lies inside the input, in window rows and columns (never empty).
struct WindowSpan {
  int64_t row_first, row_last;
  int64_t column_first, column_last;
  int64_t input;  // of window element (0, 0), relative to the plane; may lie before it
};

// Errors: kInvalid when the node has dilations, a second output, or padding as wide as the kernel.
Result<PoolShape> parse_pool(const OpRequest& request);

// Outputs and flops; the kernel and what it saves are the caller's to fill in.
KernelPlan pool_plan(const PoolShape& shape, const OpRequest& request);

// Calls fn(index in the output plane, span) for every window of a plane.
template <typename Function>
void for_windows(const Window& w, const Function& fn) {
  int64_t out = 0;
  for (int64_t oy = 0; oy < w.output_height; ++oy) {
    const int64_t top = w.input_row(oy, 0);
    for (int64_t ox = 0; ox < w.output_width; ++ox) {
      const int64_t left = w.input_column(ox, 0);
      WindowSpan span;
      span.row_first = std::max<int64_t>(0, -top);
      span.row_last = std::min(w.kernel_height, w.input_height - top);
      span.column_first = std::max<int64_t>(0, -left);
      span.column_last = std::min(w.kernel_width, w.input_width - left);
      span.input = top * w.input_width + left;
      fn(out++, span);
    }
  }
}

}  // namespace ft
