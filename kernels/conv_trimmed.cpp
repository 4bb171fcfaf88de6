// Convolutions over maps so small that some taps of the window only ever meet padding (3x3 on the
// 1x1 maps that end a network for small images): the convolution without those taps is the same,
// and often a cheaper path. Their weights get the gradient 0.

#include <algorithm>
#include <array>

#include "kernels/conv_shape.h"
#include "kernels/parallel.h"
#include "runtime/base/buffer.h"

namespace ft {
namespace {

// Taps [first, last) of a side of the window that meet the input for some output.
struct Taps {
  int64_t first = 0;
  int64_t last = 0;
};

Taps used_taps(int64_t input, int64_t output, int64_t kernel, int64_t stride, int64_t dilation,
               int64_t pad) {
  const auto is_used = [&](int64_t tap) {
    // The first output for which the tap is not in front of the input.
    const int64_t ahead = std::max<int64_t>(pad - tap * dilation, 0);
    const int64_t o = (ahead + stride - 1) / stride;
    return o < output && o * stride + tap * dilation - pad < input;
  };
  Taps taps{0, kernel};
  while (taps.first < taps.last && !is_used(taps.first)) ++taps.first;
  while (taps.last > taps.first && !is_used(taps.last - 1)) --taps.last;
  return taps;
}

// How far windows reach beyond the input's end.
int64_t pad_behind(int64_t input, int64_t output, int64_t kernel, int64_t stride, int64_t dilation,
                   int64_t pad) {
  return std::max<int64_t>((output - 1) * stride + (kernel - 1) * dilation + 1 - pad - input, 0);
}

class ConvTrimmed : public Kernel {
 public:
  ConvTrimmed(const ConvShape& whole, const ConvShape& inner, const Taps& rows, const Taps& columns,
              ConvPath path)
      : whole_(whole), inner_(inner), rows_(rows), columns_(columns), path_(std::move(path)) {}

  int64_t forward_workspace_bytes() const { return weight_bytes() + path_.forward_workspace_bytes; }
  // The taps' weights, and their gradients.
  int64_t backward_workspace_bytes() const {
    return 2 * weight_bytes() + path_.backward_workspace_bytes;
  }

  void forward(const ForwardArgs& args) const override {
    auto* weights = reinterpret_cast<float*>(args.workspace);
    gather(static_cast<const float*>(args.inputs[1]), weights, args.pool);
    const std::array<const void*, 3> inputs = {args.inputs[0], weights,
                                               whole_.has_bias ? args.inputs[2] : nullptr};
    ForwardArgs inner = args;
    inner.inputs = std::span(inputs).first(args.inputs.size());
    inner.workspace = args.workspace + weight_bytes();
    path_.kernel->forward(inner);
  }

  void backward(const BackwardArgs& args) const override {
    auto* weights = reinterpret_cast<float*>(args.workspace);
    auto* gradients = reinterpret_cast<float*>(args.workspace + weight_bytes());
    float* const dw = args.grad_inputs[1];
    if (args.grad_inputs[0] != nullptr) {
      gather(static_cast<const float*>(args.inputs[1]), weights, args.pool);
    }
    std::array<const void*, 3> inputs{};
    std::copy(args.inputs.begin(), args.inputs.end(), inputs.begin());
    inputs[1] = weights;
    std::array<float*, 3> grad_inputs{};
    std::copy(args.grad_inputs.begin(), args.grad_inputs.end(), grad_inputs.begin());
    if (dw != nullptr) grad_inputs[1] = gradients;
    BackwardArgs inner = args;
    inner.inputs = std::span(inputs).first(args.inputs.size());
    inner.grad_inputs = std::span(grad_inputs).first(args.grad_inputs.size());
    inner.workspace = args.workspace + 2 * weight_bytes();
    path_.kernel->backward(inner);
    if (dw != nullptr) scatter(gradients, dw, args.pool);
  }

 private:
  int64_t planes() const { return whole_.channels_out * whole_.group_channels_in(); }
  int64_t weight_bytes() const { return align_up(planes() * inner_.window.kernel_area() * 4); }
  static int64_t align_up(int64_t bytes) {
    const auto alignment = static_cast<int64_t>(kBufferAlignment);
    return (bytes + alignment - 1) / alignment * alignment;
  }

  // fn(tap of the whole window, tap of the inner one)
  template <typename Function>
  void for_taps(const Function& fn) const {
    int64_t tap = 0;
    for (int64_t row = rows_.first; row < rows_.last; ++row) {
      for (int64_t column = columns_.first; column < columns_.last; ++column) {
        fn(row * whole_.window.kernel_width + column, tap++);
      }
    }
  }

  void gather(const float* w, float* weights, ThreadPool* pool) const {
    const int64_t area = whole_.window.kernel_area();
    const int64_t taps = inner_.window.kernel_area();
    parallel_for_rows(pool, planes(), area, [&](int64_t plane) {
      for_taps(
          [&](int64_t from, int64_t to) { weights[plane * taps + to] = w[plane * area + from]; });
    });
  }

  void scatter(const float* gradients, float* dw, ThreadPool* pool) const {
    const int64_t area = whole_.window.kernel_area();
    const int64_t taps = inner_.window.kernel_area();
    parallel_for_rows(pool, planes(), area, [&](int64_t plane) {
      std::fill_n(dw + plane * area, area, 0.0F);
      for_taps([&](int64_t to, int64_t from) {
        dw[plane * area + to] = gradients[plane * taps + from];
      });
    });
  }

  const ConvShape whole_;
  const ConvShape inner_;
  const Taps rows_;
  const Taps columns_;
  const ConvPath path_;
};

}  // namespace

std::optional<ConvPath> make_conv_trimmed(const ConvShape& shape) {
  const Window& w = shape.window;
  const Taps rows = used_taps(w.input_height, w.output_height, w.kernel_height, w.stride_height,
                              w.dilation_height, w.pad_top);
  const Taps columns = used_taps(w.input_width, w.output_width, w.kernel_width, w.stride_width,
                                 w.dilation_width, w.pad_left);
  ConvShape inner = shape;
  Window& v = inner.window;
  v.kernel_height = rows.last - rows.first;
  v.kernel_width = columns.last - columns.first;
  v.pad_top -= rows.first * w.dilation_height;
  v.pad_left -= columns.first * w.dilation_width;
  if (v.kernel_area() == 0 || v.kernel_area() == w.kernel_area()) return std::nullopt;
  if (v.pad_top < 0 || v.pad_left < 0) return std::nullopt;
  // A window that stands still has no stride.
  if (v.output_height == 1) v.stride_height = 1;
  if (v.output_width == 1) v.stride_width = 1;
  v.pad_bottom = pad_behind(v.input_height, v.output_height, v.kernel_height, v.stride_height,
                            v.dilation_height, v.pad_top);
  v.pad_right = pad_behind(v.input_width, v.output_width, v.kernel_width, v.stride_width,
                           v.dilation_width, v.pad_left);
  ConvPath path = make_conv_path(inner);
  ConvPath made;
  made.splits_backward = path.splits_backward;
  auto kernel = std::make_unique<ConvTrimmed>(shape, inner, rows, columns, std::move(path));
  made.forward_workspace_bytes = kernel->forward_workspace_bytes();
  made.backward_workspace_bytes = kernel->backward_workspace_bytes();
  made.kernel = std::move(kernel);
  return made;
}

}  // namespace ft
