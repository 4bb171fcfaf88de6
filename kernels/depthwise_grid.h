#pragma once

// How a depthwise convolution becomes a one-dimensional one (FirPlan in simd/loops.h).
//
// A channel's images are laid on a grid, flattened, one behind the other. With strides the input is
// first split into phases: phase (a, b) has the rows a, a + stride, ... and columns b, b + stride,
// ..., so that every tap of the window is a constant shift on the grid of its phase, and the output
// lies on the same grid. What keeps a shift from reading its neighbour row or image:
//  - small planes: the grid is the plane itself, and masks, which repeat with the least common
//    multiple of plane and vector, hide the wrong reads;
//  - large planes: a margin of zeros after each row and each image, which the next row or image
//    shares as its margin before. Then no masks are needed, and the margin is a small part.

#include <cstdint>
#include <vector>

#include "kernels/conv_shape.h"
#include "kernels/simd/loops.h"

namespace ft {

class DepthwiseGrid {
 public:
  DepthwiseGrid(const Window& window, int64_t images);
  // FirPlans point into the grid.
  DepthwiseGrid(const DepthwiseGrid&) = delete;
  DepthwiseGrid& operator=(const DepthwiseGrid&) = delete;

  int64_t taps() const { return window_.kernel_area(); }
  // Images that are worked on at a time, so that they stay in the inner caches.
  int64_t block_images() const { return block_images_; }
  // Floats of an input and of an output on the grid, margins included.
  int64_t input_elements() const { return (phases_ + 1) * margin_ + phases_ * block_elements_; }
  int64_t output_elements() const { return 2 * margin_ + block_elements_; }

  // The buffers' margins and gaps must be zero; load_* writes the elements of the images only. The
  // buffers may be used again without clearing.
  void load_input(const float* x, int64_t images, float* grid) const;
  void load_output(const float* dy, int64_t images, float* grid) const;
  void store_input(const float* grid, int64_t images, float* dx) const;
  void store_output(const float* grid, int64_t images, float* y) const;

  // y = window over x; weights in the order of the file. All buffers are grids.
  void convolve(const float* weights, int64_t images, const float* x, float* y) const;
  // The adjoint; `scratch` has taps() floats.
  void convolve_transposed(const float* weights, int64_t images, const float* dy, float* dx,
                           float* scratch) const;
  // sums[tap] = sum of dy * what the tap sees of x.
  void correlate(int64_t images, const float* dy, const float* x, float* sums) const;

 private:
  struct Plan {
    std::vector<int32_t> masks;
    std::vector<int64_t> shifts;
    std::vector<int64_t> weight_indices;
    FirPlan fir;
  };
  struct Tap {
    int64_t index, phase, row, column;  // row and column: the shift in units of the grid
  };

  void choose_layout(int64_t images);
  void add_tap(Plan& plan, const Tap& tap, int64_t phase_offset, int64_t sign) const;
  void finish(Plan& plan) const;
  FirPlan fir_of(const Plan& plan, int64_t images) const;
  int64_t phase_begin(int64_t phase) const { return margin_ + phase * (block_elements_ + margin_); }
  // Calls fn(grid index, plane index, count) for every row of `images` images and every phase.
  template <typename Function>
  void for_input_rows(int64_t images, const Function& fn) const;
  // The same for pairs of phases of stride 2: fn(rows, plane index, first, second grid index), a
  // call covering as many rows as lie at constant distances.
  template <typename Function>
  void for_input_pairs(int64_t images, const Function& fn) const;
  bool has_input_pairs() const { return window_.stride_width == 2 && window_.input_width % 2 == 0; }

  Window window_;
  std::vector<Tap> taps_;
  int64_t phases_ = 1;
  int64_t rows_ = 0;  // of an image on the grid, without its margin
  int64_t columns_ = 0;
  int64_t pitch_ = 0;   // from row to row
  int64_t plane_ = 0;   // from image to image
  int64_t period_ = 0;  // of the masks
  bool is_masked_ = false;
  int64_t margin_ = 0;  // zeros before, between and after phases: at least the largest shift
  int64_t block_images_ = 1;
  int64_t block_elements_ = 0;
  Plan forward_;
  std::vector<Plan> transposed_;  // one per phase
};

}  // namespace ft
