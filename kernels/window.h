#pragma once

// The sliding window that convolutions and pools share: ONNX's kernel_shape, strides, pads,
// dilations, auto_pad and ceil_mode, bound to one feature map. A map {C, N, L} of rank 3 is treated
// as one row: height 1.

#include <cstdint>
#include <span>

#include "kernels/op.h"

namespace ft {

struct Window {
  int64_t input_height = 1;
  int64_t input_width = 1;
  int64_t output_height = 1;
  int64_t output_width = 1;
  int64_t kernel_height = 1;
  int64_t kernel_width = 1;
  int64_t stride_height = 1;
  int64_t stride_width = 1;
  int64_t dilation_height = 1;
  int64_t dilation_width = 1;
  int64_t pad_top = 0;
  int64_t pad_left = 0;
  int64_t pad_bottom = 0;
  int64_t pad_right = 0;

  int64_t input_plane() const { return input_height * input_width; }
  int64_t output_plane() const { return output_height * output_width; }
  int64_t kernel_area() const { return kernel_height * kernel_width; }
  bool has_padding() const { return pad_top + pad_left + pad_bottom + pad_right > 0; }

  // Input row that window row `kernel_row` of output row `output_row` looks at; may lie outside.
  int64_t input_row(int64_t output_row, int64_t kernel_row) const {
    return output_row * stride_height + kernel_row * dilation_height - pad_top;
  }
  int64_t input_column(int64_t output_column, int64_t kernel_column) const {
    return output_column * stride_width + kernel_column * dilation_width - pad_left;
  }
};

// `input` is the physical shape {C, N, [H,] W}; `kernel` has its spatial dimensions. With ceil_mode
// a last window that starts inside the input or its left padding counts even when it does not fit
// (PyTorch's rule, which its exports rely on). Errors: kInvalid, naming the attribute.
Result<Window> parse_window(const Attributes& attributes, const Shape& input,
                            std::span<const int64_t> kernel);

// {channels, images, [height,] width} of the output, with as many spatial dimensions as `input`.
Shape window_output_shape(const Window& window, const Shape& input, int64_t channels);

}  // namespace ft
