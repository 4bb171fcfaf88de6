#pragma once

// Part of loop_bodies.h: the inner product of the packed matrix product (packed_gemm.h).
//
// A tile of C stays in registers over the whole depth. Where the registers do not hold it at its
// full width, it is made in strips of columns; an element's sum is the same chain either way.

#include "kernels/simd/loops.h"
#include "kernels/simd/vector.h"

namespace ft {
namespace {

// Vectors of a strip: with a row's factor and the strip of B, six rows of them fill the registers
// (32 on aarch64 and with AVX-512, else 16).
#if defined(__aarch64__)
constexpr int kGemmStripVectors = 4;
#else
constexpr int kGemmStripVectors = kLanes == kGemmTileColumns ? 1 : 2;
#endif
constexpr int64_t kGemmStripColumns = kGemmStripVectors * kLanes;
static_assert(kGemmTileColumns % kGemmStripColumns == 0 && kGemmTileRows == kRowsAtOnce);

FT_INLINE void gemm_strip(GemmTile tile, const float* a, const float* b, float* c) {
  Vec sums[kGemmTileRows][kGemmStripVectors] = {};
  const float* const end = a + tile.depth * kGemmTileRows;
  while (a != end) {
    const float* line = b;
    Vec right[kGemmStripVectors];
    for (int v = 0; v < kGemmStripVectors; ++v) right[v] = load_next(line);
    multiply_add_rows(a, right, sums);
    b += kGemmTileColumns;
  }
  for (int row = 0; row < kGemmTileRows; ++row) {
    for (int v = 0; v < kGemmStripVectors; ++v) {
      float* const target = c + row * tile.c_step + v * kLanes;
      Wide::store(target, tile.accumulates ? Wide::load(target) + sums[row][v] : sums[row][v]);
    }
  }
}

void gemm_tile(GemmTile tile, const float* a, const float* b, float* c) {
  for (int64_t column = 0; column < kGemmTileColumns; column += kGemmStripColumns) {
    gemm_strip(tile, a, b + column, c + column);
  }
}

}  // namespace
}  // namespace ft
