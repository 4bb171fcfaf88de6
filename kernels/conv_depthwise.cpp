// The depthwise convolution, one filter per channel: direct loops on a flattened grid
// (window_grid.h), a task being a range of channels. See conv.cpp for the formulas.

#include <algorithm>

#include "kernels/chunked_sum.h"
#include "kernels/conv_shape.h"
#include "kernels/parallel.h"
#include "kernels/window_grid.h"

namespace ft {
namespace {

// Enough for the cores of a board to finish together; each has its own grids.
constexpr int64_t kDepthwiseTasks = 16;

class ConvDepthwise : public Kernel {
 public:
  explicit ConvDepthwise(const ConvShape& shape)
      : shape_(shape), grid_(shape.window, shape.images) {}

  // Sums so far, sums of a block, weights of a phase; x, y or dY, and dX on their grids. dX has its
  // own, because the margins around x must stay zero.
  int64_t slot_bytes() const {
    const int64_t bytes = grid_.taps() * (8 + 4 + 4) + grid_elements() * 4;
    return ceil_div(bytes, 64) * 64;
  }
  int64_t workspace_bytes() const { return tasks() * slot_bytes(); }

  void forward(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* w = static_cast<const float*>(args.inputs[1]);
    const auto* bias = shape_.has_bias ? static_cast<const float*>(args.inputs[2]) : nullptr;
    auto* y = static_cast<float*>(args.outputs[0]);
    for_channels(args.workspace, args.pool, [&](int64_t channel, const Slot& slot) {
      for_blocks([&](int64_t image, int64_t images) {
        float* const target = y + output_at(channel, image);
        grid_.load_input(x + input_at(channel, image), images, slot.input);
        grid_.convolve(w + channel * grid_.taps(), images, slot.input, slot.output);
        grid_.store_output(slot.output, images, target);
        if (bias != nullptr) {
          loops::add_scalar(target, bias[channel], target, images * shape_.window.output_plane());
        }
      });
    });
  }

  void backward(const BackwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* w = static_cast<const float*>(args.inputs[1]);
    const float* dy = args.grad_outputs[0];
    float* const dx = args.grad_inputs[0];
    float* const dw = args.grad_inputs[1];
    for_channels(args.workspace, args.pool, [&](int64_t channel, const Slot& slot) {
      std::fill(slot.totals, slot.totals + grid_.taps(), 0.0);
      for_blocks([&](int64_t image, int64_t images) {
        grid_.load_output(dy + output_at(channel, image), images, slot.output);
        if (dw != nullptr) {
          grid_.load_input(x + input_at(channel, image), images, slot.input);
          grid_.correlate(images, slot.output, slot.input, slot.sums);
          for (int64_t tap = 0; tap < grid_.taps(); ++tap) slot.totals[tap] += slot.sums[tap];
        }
        if (dx != nullptr) {
          grid_.convolve_transposed(w + channel * grid_.taps(), images, slot.output,
                                    slot.grad_input, slot.weights);
          grid_.store_input(slot.grad_input, images, dx + input_at(channel, image));
        }
      });
      for (int64_t tap = 0; dw != nullptr && tap < grid_.taps(); ++tap) {
        dw[channel * grid_.taps() + tap] = static_cast<float>(slot.totals[tap]);
      }
    });
    if (shape_.has_bias) conv_bias_gradient(shape_, dy, args.grad_inputs[2], args.pool);
  }

 private:
  struct Slot {
    double* totals;
    float* sums;
    float* weights;
    float* input;
    float* output;
    float* grad_input;
  };

  int64_t grid_elements() const { return 2 * grid_.input_elements() + grid_.output_elements(); }
  int64_t tasks() const { return std::min(kDepthwiseTasks, shape_.channels_in); }
  int64_t input_at(int64_t channel, int64_t image) const {
    return (channel * shape_.images + image) * shape_.window.input_plane();
  }
  int64_t output_at(int64_t channel, int64_t image) const {
    return (channel * shape_.images + image) * shape_.window.output_plane();
  }

  template <typename Function>
  void for_blocks(const Function& fn) const {
    for (int64_t image = 0; image < shape_.images; image += grid_.block_images()) {
      fn(image, std::min(grid_.block_images(), shape_.images - image));
    }
  }

  template <typename Function>
  void for_channels(std::byte* workspace, ThreadPool* pool, const Function& fn) const {
    pool->run(tasks(), [&](int64_t task) {
      Slot slot{};
      slot.totals = reinterpret_cast<double*>(workspace + task * slot_bytes());
      slot.sums = reinterpret_cast<float*>(slot.totals + grid_.taps());
      slot.weights = slot.sums + grid_.taps();
      slot.input = slot.weights + grid_.taps();
      slot.output = slot.input + grid_.input_elements();
      slot.grad_input = slot.output + grid_.output_elements();
      loops::fill(0.0F, slot.input, grid_elements());
      const int64_t last = (task + 1) * shape_.channels_in / tasks();
      for (int64_t c = task * shape_.channels_in / tasks(); c < last; ++c) fn(c, slot);
    });
  }

  ConvShape shape_;
  WindowGrid grid_;
};

}  // namespace

ConvPath make_conv_depthwise(const ConvShape& shape) {
  auto kernel = std::make_unique<ConvDepthwise>(shape);
  ConvPath path;
  path.forward_workspace_bytes = kernel->workspace_bytes();
  path.backward_workspace_bytes = kernel->workspace_bytes();
  path.kernel = std::move(kernel);
  return path;
}

}  // namespace ft
