// The convolution as products on grids (window_grid.h): what a tap sees of all positions is the
// grid, shifted, so the rows of the column matrix need not be copied together. A unit of work is a
// block of images with all channels; see conv.cpp for the formulas. What im2col does better for a
// shape, the forward pass or one of the gradients, is left to it.

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/conv_shape.h"
#include "kernels/parallel.h"
#include "kernels/simd/loops.h"
#include "kernels/window_grid.h"

namespace ft {
namespace {

// Tasks, each with its own grids: enough for a board's cores to finish together.
constexpr int64_t kDirectTasks = 8;
// Grids of a block, all channels together, stay in the second cache.
constexpr int64_t kGridElements = 64 * 1024;

// A product of the column matrix has more to gain from packing than to lose by copying when it is
// deep, and margins are computed for nothing: depth times grid over plane is what counts. Measured
// on AVX-512, GFLOP/s by grids and by im2col: 3x3 over 64 channels of 8x8 (729) 151 and 145, over
// 48 of 3x3 (768) 126 and 151; with stride 2, which im2col gathers one by one, over 64 of 8x8 (900)
// 102 and 85.
constexpr int64_t kDepthMax = 750;
// A BLAS has nothing to work with on so few rows, or columns.
constexpr int64_t kThinChannels = 16;
constexpr int64_t kThinDepth = 32;

// Which parts go over grids: none when one image's grids alone are far beyond that cache.
struct Parts {
  bool forward = false;
  bool input_gradient = false;
  bool weight_gradient = false;

  bool any() const { return forward || input_gradient || weight_gradient; }
};

// Whether a product of `depth` terms pays on a grid of which `plane` elements are wanted.
bool pays_on_grid(const ConvShape& shape, int64_t depth, int64_t plane) {
  const Window& w = shape.window;
  const bool strides = w.stride_height > 1 || w.stride_width > 1;
  const int64_t computed = strides ? plane : WindowGrid(w, 1, 1, 1).plane();
  return depth * computed <= kDepthMax * plane;
}

Parts choose_parts(const ConvShape& shape) {
  const Window& w = shape.window;
  if (shape.groups != 1) return {};
  const int64_t image = shape.channels_in * w.input_plane() + shape.channels_out * w.output_plane();
  if (image > 2 * kGridElements) return {};
  const int64_t area = w.kernel_area();
  Parts parts;
  parts.forward = pays_on_grid(shape, shape.channels_in * area, w.output_plane());
  parts.input_gradient = pays_on_grid(shape, shape.channels_out * area, w.input_plane());
  parts.weight_gradient = shape.channels_out <= kThinChannels || shape.group_depth() <= kThinDepth;
  return parts;
}

int64_t align_floats(int64_t count) { return ceil_div(count, 16) * 16; }

class ConvDirect : public Kernel {
 public:
  ConvDirect(const ConvShape& shape, const Parts& parts)
      : shape_(shape),
        parts_(parts),
        im2col_(make_conv_im2col(shape)),
        grid_(shape.window, shape.images, ceil_div(shape.images, kDirectTasks),
              kGridElements / (shape.channels_in + shape.channels_out)),
        blocks_(ceil_div(shape.images, grid_.block_images())),
        tasks_(std::min(kDirectTasks, blocks_)) {
    for (int64_t channel = 0; channel < shape.channels_in; ++channel) {
      for (int64_t tap = 0; tap < grid_.taps(); ++tap) {
        shifts_.push_back(channel * grid_.input_elements() + grid_.shift(tap));
      }
    }
    for (int64_t phase = 0; phase < grid_.phases(); ++phase) {
      const WindowGrid::Seen seen = grid_.seen_in(phase);
      Phase made;
      made.taps = seen.indices;
      for (int64_t channel = 0; channel < shape.channels_out; ++channel) {
        for (const int64_t shift : seen.shifts) {
          made.shifts.push_back(channel * grid_.output_elements() + shift);
        }
      }
      phases_.push_back(std::move(made));
    }
  }

  int64_t forward_workspace_bytes() const {
    if (!parts_.forward) return im2col_.forward_workspace_bytes;
    return 4 * (weights_room() + tasks_ * (input_room() + output_room()));
  }
  int64_t backward_workspace_bytes() const {
    const bool delegates = !parts_.input_gradient || !parts_.weight_gradient;
    return std::max(delegates ? im2col_.backward_workspace_bytes : 0,
                    4 * (weights_room() + tasks_ * backward_slot().elements));
  }

  void forward(const ForwardArgs& args) const override {
    if (!parts_.forward) return im2col_.kernel->forward(args);
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* w = static_cast<const float*>(args.inputs[1]);
    const auto* bias = shape_.has_bias ? static_cast<const float*>(args.inputs[2]) : nullptr;
    auto* y = static_cast<float*>(args.outputs[0]);
    auto* const weights = reinterpret_cast<float*>(args.workspace);
    const int64_t depth = shape_.group_depth();
    pack(shape_.channels_out, depth, weights,
         [&](int64_t row, int64_t k) { return w[row * depth + k]; });
    float* const grids = weights + weights_room();
    // The input's margins are zero; the rest is written before it is read.
    const Slots slots = {grids, input_room() + output_room(), input_room()};
    for_blocks(args.pool, slots, [&](float* slot, Block block) {
      float* const input = slot;
      float* const output = slot + input_room();
      load_input(x, block, input);
      multiply(shape_.channels_out, shifts_, block, weights, bias, input + grid_.margin(),
               output + grid_.margin(), grid_.output_elements());
      for (int64_t channel = 0; channel < shape_.channels_out; ++channel) {
        grid_.store_output(output + channel * grid_.output_elements(), block.images,
                           y + output_at(channel, block.image));
      }
    });
  }

  void backward(const BackwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const float* dy = args.grad_outputs[0];
    float* const dx = parts_.input_gradient ? args.grad_inputs[0] : nullptr;
    float* const dw = parts_.weight_gradient ? args.grad_inputs[1] : nullptr;
    auto* const weights = reinterpret_cast<float*>(args.workspace);
    if (dx != nullptr) pack_transposed(static_cast<const float*>(args.inputs[1]), weights);
    const BackwardSlot at = backward_slot();
    const Slots slots = {weights + weights_room(), at.elements, at.grad_input};
    if (dx != nullptr || dw != nullptr) {
      for_blocks(args.pool, slots, [&](float* slot, Block block) {
        float* const output = slot + at.output;
        for (int64_t channel = 0; channel < shape_.channels_out; ++channel) {
          grid_.load_output(dy + output_at(channel, block.image), block.images,
                            output + channel * grid_.output_elements());
        }
        if (dw != nullptr) {
          load_input(x, block, slot + at.input);
          add_weight_gradient(block, output + grid_.margin(), slot + at.input + grid_.margin(),
                              reinterpret_cast<double*>(slot));
        }
        if (dx != nullptr) {
          float* const grad_input = slot + at.grad_input;
          input_gradient(block, weights, output + grid_.margin(), grad_input);
          for (int64_t channel = 0; channel < shape_.channels_in; ++channel) {
            grid_.store_input(grad_input + channel * grid_.input_elements(), block.images,
                              dx + input_at(channel, block.image));
          }
        }
      });
    }
    if (dw != nullptr) {
      for (int64_t i = 0; i < weight_elements(); ++i) {
        double sum = 0;
        for (int64_t task = 0; task < tasks_; ++task) {
          sum += reinterpret_cast<const double*>(slots.at(task))[i];
        }
        dw[i] = static_cast<float>(sum);
      }
    }
    delegate(args);
    if (shape_.has_bias) conv_bias_gradient(shape_, dy, args.grad_inputs[2], args.pool);
  }

 private:
  struct Block {
    int64_t image;
    int64_t images;
  };
  // Where a task's sums (at 0), in double precision, and grids lie.
  struct BackwardSlot {
    int64_t output = 0;
    int64_t input = 0;
    int64_t grad_input = 0;
    int64_t elements = 0;
  };
  struct Slots {  // a task's each
    float* first;
    int64_t elements;
    int64_t zeros;  // elements that are zero before the first block

    float* at(int64_t task) const { return first + task * elements; }
  };
  struct Phase {
    std::vector<int64_t> taps;    // that see it
    std::vector<int64_t> shifts;  // [channels_out][taps]
  };

  int64_t weight_elements() const { return shape_.channels_out * shape_.group_depth(); }
  int64_t weights_room() const { return align_floats(weight_elements()); }
  int64_t input_room() const { return align_floats(shape_.channels_in * grid_.input_elements()); }
  int64_t output_room() const {
    return align_floats(shape_.channels_out * grid_.output_elements());
  }
  BackwardSlot backward_slot() const {
    BackwardSlot slot;
    slot.output = parts_.weight_gradient ? align_floats(2 * weight_elements()) : 0;
    slot.input = slot.output + output_room();
    slot.grad_input = slot.input + (parts_.weight_gradient ? input_room() : 0);
    slot.elements = slot.grad_input + (parts_.input_gradient ? input_room() : 0);
    return slot;
  }
  int64_t input_at(int64_t channel, int64_t image) const {
    return (channel * shape_.images + image) * shape_.window.input_plane();
  }
  int64_t output_at(int64_t channel, int64_t image) const {
    return (channel * shape_.images + image) * shape_.window.output_plane();
  }

  // Calls fn(slot, block) for every block; a task's blocks are consecutive and share its slot.
  template <typename Function>
  void for_blocks(ThreadPool* pool, const Slots& slots, const Function& fn) const {
    pool->run(tasks_, [&](int64_t task) {
      float* const slot = slots.at(task);
      loops::fill(0.0F, slot, slots.zeros);
      for (int64_t i = task * blocks_ / tasks_; i < (task + 1) * blocks_ / tasks_; ++i) {
        const int64_t image = i * grid_.block_images();
        fn(slot, Block{image, std::min(grid_.block_images(), shape_.images - image)});
      }
    });
  }

  // What im2col does better.
  void delegate(const BackwardArgs& args) const {
    const std::array<float*, 3> left = {parts_.input_gradient ? nullptr : args.grad_inputs[0],
                                        parts_.weight_gradient ? nullptr : args.grad_inputs[1],
                                        nullptr};
    if (left[0] == nullptr && left[1] == nullptr) return;
    BackwardArgs inner = args;
    inner.grad_inputs = left;
    im2col_.kernel->backward(inner);
  }

  void load_input(const float* x, Block block, float* input) const {
    for (int64_t channel = 0; channel < shape_.channels_in; ++channel) {
      grid_.load_input(x + input_at(channel, block.image), block.images,
                       input + channel * grid_.input_elements());
    }
  }

  // The left side of a product: blocks of at most kShiftedRows rows, each [depth][rows].
  template <typename Weight>
  static void pack(int64_t rows, int64_t depth, float* out, const Weight& weight) {
    for (int64_t first = 0; first < rows; first += kShiftedRows) {
      const int64_t last = std::min(rows, first + kShiftedRows);
      for (int64_t k = 0; k < depth; ++k) {
        for (int64_t row = first; row < last; ++row) *out++ = weight(row, k);
      }
    }
  }

  // Phase after phase, what a phase's taps give to the input's channels.
  void pack_transposed(const float* w, float* out) const {
    const int64_t taps = grid_.taps();
    for (const Phase& phase : phases_) {
      const auto phase_taps = static_cast<int64_t>(phase.taps.size());
      const int64_t depth = shape_.channels_out * phase_taps;
      pack(shape_.channels_in, depth, out, [&](int64_t row, int64_t k) {
        const int64_t tap = phase.taps[static_cast<size_t>(k % phase_taps)];
        return w[(k / phase_taps * shape_.channels_in + row) * taps + tap];
      });
      out += shape_.channels_in * depth;
    }
  }

  // c[row] = bias[row], if any, + sum over k of the packed weights times x at its shift, for `rows`
  // rows c_step apart.
  void multiply(int64_t rows, const std::vector<int64_t>& shifts, Block block, const float* weights,
                const float* bias, const float* x, float* c, int64_t c_step) const {
    ShiftedProduct product;
    product.columns = grid_.elements(block.images);
    product.depth = static_cast<int64_t>(shifts.size());
    product.c_step = c_step;
    product.shifts = shifts.data();
    for (int64_t row = 0; row < rows; row += kShiftedRows) {
      product.rows = std::min(kShiftedRows, rows - row);
      product.bias = bias == nullptr ? nullptr : bias + row;
      loops::shifted_product(&product, weights + row * product.depth, x, c + row * c_step);
    }
  }

  // No tap sees some phases when a stride is wider than the kernel: their sums are empty.
  void input_gradient(Block block, const float* weights, const float* dy, float* dx) const {
    for (int64_t index = 0; index < grid_.phases(); ++index) {
      const Phase& phase = phases_[static_cast<size_t>(index)];
      float* const target = dx + grid_.phase_begin(index);
      multiply(shape_.channels_in, phase.shifts, block, weights, nullptr, dy, target,
               grid_.input_elements());
      weights += shape_.channels_in * static_cast<int64_t>(phase.shifts.size());
    }
  }

  void add_weight_gradient(Block block, const float* dy, const float* x, double* sums) const {
    ShiftedSums shape;
    shape.columns = grid_.elements(block.images);
    shape.a_step = grid_.output_elements();
    const int64_t depth = shape_.group_depth();
    for (int64_t row = 0; row < shape_.channels_out; row += kShiftedSumRows) {
      shape.rows = std::min(kShiftedSumRows, shape_.channels_out - row);
      for (int64_t k = 0; k < depth; k += kShiftedSumDepth) {
        shape.depth = std::min(kShiftedSumDepth, depth - k);
        shape.shifts = shifts_.data() + k;
        float part[kShiftedSumRows * kShiftedSumDepth];
        loops::shifted_sums(&shape, dy + row * shape.a_step, x, part);
        for (int64_t i = 0; i < shape.rows; ++i) {
          for (int64_t j = 0; j < shape.depth; ++j) {
            sums[(row + i) * depth + k + j] += part[i * shape.depth + j];
          }
        }
      }
    }
  }

  const ConvShape shape_;
  const Parts parts_;
  const ConvPath im2col_;
  const WindowGrid grid_;
  const int64_t blocks_;
  const int64_t tasks_;
  std::vector<int64_t> shifts_;  // [channels_in][taps]
  std::vector<Phase> phases_;
};

}  // namespace

std::optional<ConvPath> make_conv_direct(const ConvShape& shape) {
  const Parts parts = choose_parts(shape);
  if (!parts.any()) return std::nullopt;
  auto kernel = std::make_unique<ConvDirect>(shape, parts);
  ConvPath path;
  path.forward_workspace_bytes = kernel->forward_workspace_bytes();
  path.backward_workspace_bytes = kernel->backward_workspace_bytes();
  path.splits_backward = true;
  path.kernel = std::move(kernel);
  return path;
}

}  // namespace ft
