#include "kernels/window_grid.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "kernels/parallel.h"

namespace ft {
namespace {

// Nine masks of this length are 36 KiB; they are read once per block of images.
constexpr int64_t kMaskPeriodMax = 1024;
// Input and output of a block together fill half an L1 cache of 64 KiB or stay in L2.
constexpr int64_t kBlockElements = 8 * 1024;

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
int64_t round_up(int64_t value, int64_t multiple) { return ceil_div(value, multiple) * multiple; }

// Zeros behind each row (or column) of `size` elements so that a tap at `shift`, which moves over
// the first `outputs` of them, sees no neighbour.
int64_t margin_needed(int64_t shift, int64_t outputs, int64_t size) {
  return std::max(-shift, outputs + shift - size);
}

}  // namespace

WindowGrid::WindowGrid(const Window& window, int64_t images) : window_(window) {
  make_taps();
  choose_layout(images, true);
  choose_blocks(images, images, kBlockElements);
  make_plans();
}

WindowGrid::WindowGrid(const Window& window, int64_t images, int64_t block_images_max,
                       int64_t block_elements)
    : window_(window) {
  make_taps();
  choose_layout(images, false);
  choose_blocks(images, block_images_max, block_elements);
  make_plans();
}

void WindowGrid::make_taps() {
  const Window& w = window_;
  phases_ = w.stride_height * w.stride_width;
  for (int64_t ky = 0; ky < w.kernel_height; ++ky) {
    for (int64_t kx = 0; kx < w.kernel_width; ++kx) {
      const int64_t y = w.input_row(0, ky);
      const int64_t x = w.input_column(0, kx);
      const int64_t row = floor_div(y, w.stride_height);
      const int64_t column = floor_div(x, w.stride_width);
      const int64_t phase =
          (y - row * w.stride_height) * w.stride_width + (x - column * w.stride_width);
      taps_.push_back({ky * w.kernel_width + kx, phase, row, column});
    }
  }
}

void WindowGrid::choose_layout(int64_t images, bool may_mask) {
  const Window& w = window_;
  rows_ = std::max(w.output_height, ceil_div(w.input_height, w.stride_height));
  columns_ = std::max(w.output_width, ceil_div(w.input_width, w.stride_width));
  const int64_t period = std::lcm(rows_ * columns_, kFirPeriodLanes);
  // A batch that does not fill the masks once would be computed several times over.
  is_masked_ = may_mask && period <= std::min(kMaskPeriodMax, images * rows_ * columns_);
  int64_t row_margin = 0;
  int64_t column_margin = 0;
  if (!is_masked_) {
    for (const Tap& tap : taps_) {
      row_margin = std::max(row_margin, margin_needed(tap.row, w.output_height, rows_));
      column_margin = std::max(column_margin, margin_needed(tap.column, w.output_width, columns_));
    }
  }
  period_ = is_masked_ ? period : kShiftedColumns;
  pitch_ = columns_ + column_margin;
  plane_ = (rows_ + row_margin) * pitch_;
  for (const Tap& tap : taps_) {
    margin_ = std::max(margin_, std::abs(tap.row * pitch_ + tap.column));
  }
  margin_ = round_up(margin_, kFirPeriodLanes);
}

void WindowGrid::choose_blocks(int64_t images, int64_t images_max, int64_t elements) {
  const int64_t fitting = std::clamp<int64_t>(elements / (plane_ * phases_), 1, images_max);
  // Whole periods, so that no element of a block is computed for nothing.
  const int64_t step = is_masked_ ? period_ / std::gcd(period_, plane_) : 1;
  block_images_ = std::min(images, std::max(step, fitting / step * step));
  block_elements_ = round_up(block_images_ * plane_, period_);
}

void WindowGrid::make_plans() {
  transposed_.resize(static_cast<size_t>(phases_));
  for (const Tap& tap : taps_) {
    add_tap(forward_, tap, phase_begin(tap.phase) - phase_begin(0), 1);
    add_tap(transposed_[static_cast<size_t>(tap.phase)], tap, 0, -1);
  }
  finish(forward_);
  for (Plan& plan : transposed_) finish(plan);
}

int64_t WindowGrid::elements(int64_t images) const { return round_up(images * plane_, period_); }

WindowGrid::Seen WindowGrid::seen_in(int64_t phase) const {
  const Plan& plan = transposed_[static_cast<size_t>(phase)];
  return {plan.weight_indices, plan.shifts};
}

// sign 1: the element reads at +shift (forward); -1: at -shift (transposed).
void WindowGrid::add_tap(Plan& plan, const Tap& tap, int64_t phase_offset, int64_t sign) const {
  plan.weight_indices.push_back(tap.index);
  plan.shifts.push_back(phase_offset + sign * (tap.row * pitch_ + tap.column));
  for (int64_t i = 0; i < period_; ++i) {
    const int64_t row = i % plane_ / pitch_ + sign * tap.row;
    const int64_t column = i % pitch_ + sign * tap.column;
    const bool inside = row >= 0 && row < rows_ && column >= 0 && column < columns_;
    plan.masks.push_back(inside || !is_masked_ ? -1 : 0);
  }
}

void WindowGrid::finish(Plan& plan) const {
  plan.fir.period = period_;
  plan.fir.taps = static_cast<int64_t>(plan.shifts.size());
  plan.fir.masks = plan.masks.data();
  plan.fir.shifts = plan.shifts.data();
}

FirPlan WindowGrid::fir_of(const Plan& plan, int64_t images) const {
  FirPlan fir = plan.fir;
  fir.groups = elements(images) / period_;
  return fir;
}

template <typename Function>
void WindowGrid::for_input_rows(int64_t images, const Function& fn) const {
  const Window& w = window_;
  for (int64_t phase = 0; phase < phases_; ++phase) {
    const int64_t row_first = phase / w.stride_width;
    const int64_t column_first = phase % w.stride_width;
    const int64_t count = ceil_div(w.input_width - column_first, w.stride_width);
    if (count <= 0) continue;
    for (int64_t image = 0; image < images; ++image) {
      int64_t at = phase_begin(phase) + image * plane_;
      for (int64_t row = row_first; row < w.input_height; row += w.stride_height, at += pitch_) {
        fn(at, image * w.input_plane() + row * w.input_width + column_first, count);
      }
    }
  }
}

template <typename Function>
void WindowGrid::for_input_pairs(int64_t images, const Function& fn) const {
  const Window& w = window_;
  const int64_t step = w.stride_height * w.input_width;
  for (int64_t row = 0; row < std::min(w.stride_height, w.input_height); ++row) {
    const int64_t rows = ceil_div(w.input_height - row, w.stride_height);
    const int64_t first = phase_begin(2 * row);
    const int64_t second = phase_begin(2 * row + 1);
    PairRows all = {images * rows, w.input_width, step, pitch_};
    if (rows * step == w.input_plane() && rows * pitch_ == plane_) {
      fn(all, row * w.input_width, first, second);
      continue;
    }
    all.rows = rows;
    for (int64_t image = 0; image < images; ++image) {
      fn(all, image * w.input_plane() + row * w.input_width, first + image * plane_,
         second + image * plane_);
    }
  }
}

void WindowGrid::load_input(const float* x, int64_t images, float* grid) const {
  const int64_t step = window_.stride_width;
  if (phases_ == 1 && plane_ == window_.input_plane()) {
    std::memcpy(grid + margin_, x, static_cast<size_t>(images * plane_) * sizeof(float));
    return;
  }
  if (has_input_pairs()) {
    for_input_pairs(images, [=](const PairRows& rows, int64_t from, int64_t first, int64_t second) {
      loops::split_pairs(rows, x + from, grid + first, grid + second);
    });
    return;
  }
  if (phases_ == 1) {
    const CopyRows rows = {window_.input_height, window_.input_width, window_.input_width, pitch_};
    for (int64_t image = 0; image < images; ++image) {
      loops::copy_rows(rows, x + image * window_.input_plane(), grid + margin_ + image * plane_);
    }
    return;
  }
  for_input_rows(images, [=](int64_t to, int64_t from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) grid[to + i] = x[from + i * step];
  });
}

void WindowGrid::store_input(const float* grid, int64_t images, float* dx) const {
  const int64_t step = window_.stride_width;
  if (phases_ == 1 && plane_ == window_.input_plane()) {
    std::memcpy(dx, grid + margin_, static_cast<size_t>(images * plane_) * sizeof(float));
    return;
  }
  if (has_input_pairs()) {
    for_input_pairs(images, [=](const PairRows& rows, int64_t to, int64_t first, int64_t second) {
      loops::merge_pairs(rows, grid + first, grid + second, dx + to);
    });
    return;
  }
  if (phases_ == 1) {
    const CopyRows rows = {window_.input_height, window_.input_width, pitch_, window_.input_width};
    for (int64_t image = 0; image < images; ++image) {
      loops::copy_rows(rows, grid + margin_ + image * plane_, dx + image * window_.input_plane());
    }
    return;
  }
  for_input_rows(images, [=](int64_t from, int64_t to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) dx[to + i * step] = grid[from + i];
  });
}

void WindowGrid::load_output(const float* dy, int64_t images, float* grid) const {
  const Window& w = window_;
  float* const to = grid + margin_;
  // What a whole block left behind must not count in the sums of a last, shorter one.
  const int64_t used = images * plane_;
  std::fill(to + used, to + round_up(used, period_), 0.0F);
  if (plane_ == w.output_plane()) {
    std::memcpy(to, dy, static_cast<size_t>(used) * sizeof(float));
    return;
  }
  const CopyRows rows = {w.output_height, w.output_width, w.output_width, pitch_};
  for (int64_t image = 0; image < images; ++image) {
    loops::copy_rows(rows, dy + image * w.output_plane(), to + image * plane_);
  }
}

void WindowGrid::store_output(const float* grid, int64_t images, float* y) const {
  const Window& w = window_;
  const float* const from = grid + margin_;
  if (plane_ == w.output_plane()) {
    std::memcpy(y, from, static_cast<size_t>(images * plane_) * sizeof(float));
    return;
  }
  const CopyRows rows = {w.output_height, w.output_width, pitch_, w.output_width};
  for (int64_t image = 0; image < images; ++image) {
    loops::copy_rows(rows, from + image * plane_, y + image * w.output_plane());
  }
}

void WindowGrid::convolve(const float* weights, int64_t images, const float* x, float* y) const {
  const FirPlan fir = fir_of(forward_, images);
  loops::fir(&fir, weights, x + margin_, y + margin_);
}

void WindowGrid::convolve_transposed(const float* weights, int64_t images, const float* dy,
                                     float* dx, float* scratch) const {
  for (int64_t phase = 0; phase < phases_; ++phase) {
    const Plan& plan = transposed_[static_cast<size_t>(phase)];
    const FirPlan fir = fir_of(plan, images);
    float* const target = dx + phase_begin(phase);
    if (fir.taps == 0) {  // a stride wider than the kernel leaves inputs that nothing sees
      std::fill(target, target + fir.groups * fir.period, 0.0F);
      continue;
    }
    for (size_t i = 0; i < plan.weight_indices.size(); ++i) {
      scratch[i] = weights[plan.weight_indices[i]];
    }
    loops::fir(&fir, scratch, dy + margin_, target);
  }
}

void WindowGrid::correlate(int64_t images, const float* dy, const float* x, float* sums) const {
  const FirPlan fir = fir_of(forward_, images);
  loops::fir_weights(&fir, dy + margin_, x + margin_, sums);
}

}  // namespace ft
