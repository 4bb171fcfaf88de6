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
  // As wide as a pointer: 64 bits cost 32-bit cores two instructions a turn.
  const auto depth = static_cast<intptr_t>(product.depth);
  for (intptr_t k = 0; k < depth; ++k) {
    const float* const source = x + product.shifts[k];
    Vec right[kShiftedVectors];
    for (int v = 0; v < kShiftedVectors; ++v) right[v] = Wide::load(source + v * kLanes);
    if constexpr (rows == kRowsAtOnce) {
      multiply_add_rows(w, right, sums);
    } else {
      for (int row = 0; row < rows; ++row) {
        const Vec left = Wide::all_at(w + row);
        for (int v = 0; v < kShiftedVectors; ++v) {
          sums[row][v] = Wide::fma(left, right[v], sums[row][v]);
        }
      }
    }
    w += rows;
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

// `depth` taps from shifts[first] on.
template <int rows, int depth>
void shifted_block(const ShiftedSums& shape, int first, const float* a, const float* x,
                   float* sums) {
  Vec totals[rows][depth] = {};
  const float* source[depth];
  for (int k = 0; k < depth; ++k) source[k] = x + shape.shifts[first + k];
  const auto columns = static_cast<intptr_t>(shape.columns);
  for (intptr_t i = 0; i < columns; i += kLanes) {
    Vec left[rows];
    for (int row = 0; row < rows; ++row) left[row] = Wide::load(a + row * shape.a_step + i);
    for (int k = 0; k < depth; ++k) {
      const Vec right = Wide::load(source[k] + i);
      for (int row = 0; row < rows; ++row) {
        totals[row][k] = Wide::fma(left[row], right, totals[row][k]);
      }
    }
  }
  for (int row = 0; row < rows; ++row) {
    for (int k = 0; k < depth; ++k) {
      sums[row * shape.depth + first + k] = sum_of_lanes(totals[row][k]);
    }
  }
}

// 12 sums, three rows and what a tap sees would be all registers of 32-bit ARM, and GCC spills.
#if defined(__arm__)
constexpr int64_t kShiftedSumStrip = 2;
#else
constexpr int64_t kShiftedSumStrip = kShiftedSumDepth;
#endif

template <int rows>
void shifted_sums_of(const ShiftedSums& shape, const float* a, const float* x, float* sums) {
  for (int first = 0; first < shape.depth; first += kShiftedSumStrip) {
    const int64_t left = shape.depth - first;
    switch (left < kShiftedSumStrip ? left : kShiftedSumStrip) {
      case 1:
        shifted_block<rows, 1>(shape, first, a, x, sums);
        break;
      case 2:
        shifted_block<rows, 2>(shape, first, a, x, sums);
        break;
      case 3:
        shifted_block<rows, 3>(shape, first, a, x, sums);
        break;
      default:
        shifted_block<rows, kShiftedSumStrip>(shape, first, a, x, sums);
        break;
    }
  }
}

void shifted_sums(const ShiftedSums* shape, const float* a, const float* x, float* sums) {
  switch (shape->rows) {
    case 1:
      return shifted_sums_of<1>(*shape, a, x, sums);
    case 2:
      return shifted_sums_of<2>(*shape, a, x, sums);
    default:
      return shifted_sums_of<3>(*shape, a, x, sums);
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
