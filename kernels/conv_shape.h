#pragma once

// What every convolution path knows of its instance, and the paths. X is {Cin, N, H, W}, W is
// {Cout, Cin / groups, kh, kw} as in the file, Y is {Cout, N, OH, OW}: a channel's images are one
// contiguous row of `positions`, and a group's channels are contiguous too.

#include <memory>
#include <optional>

#include "kernels/op.h"
#include "kernels/window.h"

namespace ft {

struct ConvShape {
  Window window;
  int64_t images = 0;
  int64_t channels_in = 0;
  int64_t channels_out = 0;
  int64_t groups = 1;
  bool has_bias = false;

  int64_t group_channels_in() const { return channels_in / groups; }
  int64_t group_channels_out() const { return channels_out / groups; }
  // Rows of a group's column matrix: its channels times the window.
  int64_t group_depth() const { return group_channels_in() * window.kernel_area(); }
  int64_t positions_in() const { return images * window.input_plane(); }
  int64_t positions_out() const { return images * window.output_plane(); }
};

// A path: its kernel and the workspace it asks for.
struct ConvPath {
  std::unique_ptr<const Kernel> kernel;
  int64_t forward_workspace_bytes = 0;
  int64_t backward_workspace_bytes = 0;
  bool splits_backward = false;  // as in KernelPlan
};

ConvPath make_conv_pointwise(const ConvShape& shape);  // 1x1, stride 1, no padding: plain GEMMs
ConvPath make_conv_im2col(const ConvShape& shape);     // everything else
ConvPath make_conv_depthwise(const ConvShape& shape);  // groups == Cin == Cout
// Products on grids; empty where im2col does everything better.
std::optional<ConvPath> make_conv_direct(const ConvShape& shape);
// Empty when every tap of the window meets the input somewhere.
std::optional<ConvPath> make_conv_trimmed(const ConvShape& shape);
// The one of these that fits the shape.
ConvPath make_conv_path(const ConvShape& shape);

// grad_bias = sums of dy's rows; nothing when grad_bias is null.
void conv_bias_gradient(const ConvShape& shape, const float* dy, float* grad_bias,
                        ThreadPool* pool);

}  // namespace ft
