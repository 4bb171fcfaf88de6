#pragma once

// Part of loop_bodies.h: windows on a grid (window_grid.h). In the products each vector that is
// loaded is used for all rows, each weight for all vectors of a strip.

#include "kernels/simd/loops.h"
#include "kernels/simd/vector.h"

namespace ft {
namespace {

// Vectors of a strip: with six rows, 12 sums of 16 registers, or 24 of aarch64's 32.
#if defined(__aarch64__)
constexpr int kShiftedVectors = 4;
#else
constexpr int kShiftedVectors = 2;
#endif
static_assert(kShiftedColumns % (kShiftedVectors * kLanes) == 0 && kShiftedRows == kRowsAtOnce);

template <int rows>
FT_INLINE void shifted_strip(const ShiftedProduct& product, const float* w, const float* x,
                             float* c) {
  Vec sums[rows][kShiftedVectors] = {};
  if (product.bias != nullptr) {
    for (int row = 0; row < rows; ++row) {
      for (int v = 0; v < kShiftedVectors; ++v) sums[row][v] = Wide::all_at(product.bias + row);
    }
  }
  forget_origin(x);
  // As wide as a pointer: 64 bits cost 32-bit cores two instructions a turn. What counts up to 0
  // needs no comparison.
  const auto depth = static_cast<intptr_t>(product.depth);
  const int64_t* const shifts_end = product.shifts + depth;
  for (intptr_t k = -depth; k < 0; ++k) {
    const float* source = x + static_cast<intptr_t>(shifts_end[k]);
    Vec right[kShiftedVectors];
    for (int v = 0; v < kShiftedVectors; ++v) right[v] = load_next(source);
    if constexpr (rows == kRowsAtOnce) {
      multiply_add_rows(w, right, sums);
    } else {
      for (int row = 0; row < rows; ++row) {
        const Vec left = all_at_next(w);
        for (int v = 0; v < kShiftedVectors; ++v) {
          sums[row][v] = Wide::fma(left, right[v], sums[row][v]);
        }
      }
    }
  }
  for (int row = 0; row < rows; ++row) {
    for (int v = 0; v < kShiftedVectors; ++v) {
      Wide::store(c + row * product.c_step + v * kLanes, sums[row][v]);
    }
  }
}

template <int rows>
void shifted_rows(const ShiftedProduct& product, const float* w, const float* x, float* c) {
  for (int64_t i = 0; i < product.columns; i += kShiftedVectors * kLanes) {
    shifted_strip<rows>(product, w, x + i, c + i);
  }
}

void shifted_product(const ShiftedProduct* product, const float* w, const float* x, float* c) {
  switch (product->rows) {
    case 1:
      return shifted_rows<1>(*product, w, x, c);
    case 2:
      return shifted_rows<2>(*product, w, x, c);
    case 3:
      return shifted_rows<3>(*product, w, x, c);
    case 4:
      return shifted_rows<4>(*product, w, x, c);
    case 5:
      return shifted_rows<5>(*product, w, x, c);
    default:
      return shifted_rows<6>(*product, w, x, c);
  }
}

// The loops around the hot one are unrolled by request: GCC would do so by itself only after it has
// decided which arrays live in registers, and `totals` would stay in memory.
template <int rows, int depth>
void shifted_block(const ShiftedSums& shape, const float* a, const float* x, float* sums) {
  Vec totals[rows][depth] = {};
  const float* line[rows];
  const float* source[depth];
#pragma GCC unroll 4
  for (int row = 0; row < rows; ++row) line[row] = a + row * shape.a_step;
#pragma GCC unroll 4
  for (int k = 0; k < depth; ++k) source[k] = x + shape.shifts[k];
  for (auto i = -static_cast<intptr_t>(shape.columns); i < 0; i += kLanes) {
    Vec left[rows];
    for (int row = 0; row < rows; ++row) left[row] = load_next(line[row]);
    for (int k = 0; k < depth; ++k) {
      const Vec right = load_next(source[k]);
#pragma GCC unroll 4
      for (int row = 0; row < rows; ++row) {
        totals[row][k] = Wide::fma(left[row], right, totals[row][k]);
      }
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < rows; ++row) {
    for (int k = 0; k < depth; ++k) sums[row * depth + k] = sum_of_lanes(totals[row][k]);
  }
}

template <int rows, int depth>
FT_INLINE void shifted_sums_of(const ShiftedSums& shape, const float* a, const float* x,
                               float* sums) {
  if constexpr (depth > 1) {
    if (shape.depth < depth) return shifted_sums_of<rows, depth - 1>(shape, a, x, sums);
  }
  shifted_block<rows, depth>(shape, a, x, sums);
}

void shifted_sums(const ShiftedSums* shape, const float* a, const float* x, float* sums) {
  switch (shape->rows) {
    case 1:
      return shifted_sums_of<1, kShiftedSumDepth>(*shape, a, x, sums);
    case 2:
      return shifted_sums_of<2, kShiftedSumDepth>(*shape, a, x, sums);
    default:
      return shifted_sums_of<3, kShiftedSumDepth>(*shape, a, x, sums);
  }
}

void shifted_max(const ShiftedMax* shape, const float* x, float* best, float* winner) {
  for (int64_t i = 0; i < shape->columns; i += kLanes) {
    Vec largest = Wide::load(x + shape->shifts[0] + i);
    Vec place = {};
    for (int64_t k = 1; k < shape->depth; ++k) {
      const Vec v = Wide::load(x + shape->shifts[k] + i);
      const auto wins = (v > largest) | (v != v);
      largest = wins ? v : largest;
      place = wins ? Wide::all(static_cast<float>(k)) : place;
    }
    Wide::store(best + i, largest);
    Wide::store(winner + i, place);
  }
}

void shifted_marked(const ShiftedMarks* shape, const float* winner, const float* x, float* out) {
  for (int64_t i = 0; i < shape->columns; i += kLanes) {
    Vec total = {};
    for (int64_t k = 0; k < shape->depth; ++k) {
      const int64_t at = shape->shifts[k] + i;
      const auto is_marked = Wide::load(winner + at) == Wide::all_at(shape->marks + k);
      total += is_marked ? Wide::load(x + at) : Vec{};
    }
    Wide::store(out + i, total);
  }
}

}  // namespace
}  // namespace ft
