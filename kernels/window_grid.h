#pragma once

// How a window that slides over planes becomes a one-dimensional one: for convolutions
// (conv_depthwise.cpp, conv_direct.cpp) and pools (max_pool.cpp).
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

#include "kernels/simd/loops.h"
#include "kernels/window.h"

namespace ft {

class WindowGrid {
 public:
  // Masks where planes are small (FirPlan in simd/loops.h), blocks of images for one channel.
  WindowGrid(const Window& window, int64_t images);
  // Never masks; blocks of at most `block_images_max` images, and of few elements.
  WindowGrid(const Window& window, int64_t images, int64_t block_images_max,
             int64_t block_elements);
  // FirPlans point into the grid.
  WindowGrid(const WindowGrid&) = delete;
  WindowGrid& operator=(const WindowGrid&) = delete;

  int64_t taps() const { return window_.kernel_area(); }
  // Elements of an image, margins included.
  int64_t plane() const { return plane_; }
  // Images that are worked on at a time, so that they stay in the inner caches.
  int64_t block_images() const { return block_images_; }
  // Floats of an input and of an output on the grid, margins included.
  int64_t input_elements() const { return (phases_ + 1) * margin_ + phases_ * block_elements_; }
  int64_t output_elements() const { return 2 * margin_ + block_elements_; }

  // The buffers' margins and gaps must be zero (or what else padding is); load_* writes the
  // elements of the images only. The buffers may be used again without clearing.
  void load_input(const float* x, int64_t images, float* grid) const;
  void load_output(const float* dy, int64_t images, float* grid) const;
  void store_input(const float* grid, int64_t images, float* dx) const;
  void store_output(const float* grid, int64_t images, float* y) const;

  // For who goes over the grids by himself. Element 0 of the output lies at margin() of its grid;
  // what tap i sees of an input grid for output element j lies at margin() + shift(i) + j. Elements
  // come in whole multiples of period().
  int64_t margin() const { return margin_; }
  int64_t elements(int64_t images) const;
  int64_t shift(int64_t tap) const { return forward_.shifts[static_cast<size_t>(tap)]; }
  int64_t phases() const { return phases_; }
  // The taps that see a phase of the input; element j of the phase lies at phase_begin() + j and is
  // seen, by tap indices[i], in output element margin() + shifts[i] + j.
  struct Seen {
    std::vector<int64_t> indices;
    std::vector<int64_t> shifts;
  };
  Seen seen_in(int64_t phase) const;
  int64_t phase_begin(int64_t phase) const { return margin_ + phase * (block_elements_ + margin_); }

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

  void make_taps();
  void choose_layout(int64_t images, bool may_mask);
  void choose_blocks(int64_t images, int64_t images_max, int64_t elements);
  void make_plans();
  void add_tap(Plan& plan, const Tap& tap, int64_t phase_offset, int64_t sign) const;
  void finish(Plan& plan) const;
  FirPlan fir_of(const Plan& plan, int64_t images) const;
  // Calls fn(grid index, plane index, count) for every row of `images` images and every phase.
  template <typename Function>
  void for_input_rows(int64_t images, const Function& fn) const;
  // The same for pairs of phases of stride 2: fn(rows, plane index, first, second grid index), a
  // call covering as many rows as lie at constant distances.
  template <typename Function>
  void for_input_pairs(int64_t images, const Function& fn) const;
  bool has_input_pairs() const { return window_.stride_width == 2; }

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
