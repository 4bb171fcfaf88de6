#include "kernels/packed_gemm.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

// A sliver of B (16 KB) and one of A stay in a small core's first cache, a block of each in its
// second.
constexpr int64_t kPackedDepth = 256;
constexpr int64_t kPackedRows = 16 * kGemmTileRows;
constexpr int64_t kPackedColumns = 16 * kGemmTileColumns;

// An operand seen along its tiles: element (lane, depth) is at lane * lane_step + depth *
// depth_step, one of which is 1.
struct Operand {
  const float* data;
  int64_t lane_step;
  int64_t depth_step;
};

// Lanes that are lines are turned in squares, so that what moves pointers serves 16 elements.
constexpr int64_t kSquare = 4;

// out[depth][width] = `count` lanes that are `step` apart.
void pack_lines(const float* source, int64_t step, int64_t count, int64_t depth, int64_t width,
                float* out) {
  int64_t lane = 0;
  for (; lane + kSquare <= count; lane += kSquare) {
    const float* line[kSquare];
    for (int64_t i = 0; i < kSquare; ++i) line[i] = source + (lane + i) * step;
    float* target = out + lane;
    int64_t k = 0;
    for (; k + kSquare <= depth; k += kSquare, target += kSquare * width) {
      for (int64_t i = 0; i < kSquare; ++i) {
        for (int64_t j = 0; j < kSquare; ++j) target[j * width + i] = line[i][k + j];
      }
    }
    for (; k < depth; ++k, target += width) {
      for (int64_t i = 0; i < kSquare; ++i) target[i] = line[i][k];
    }
  }
  for (; lane < count; ++lane) {
    for (int64_t k = 0; k < depth; ++k) out[k * width + lane] = source[lane * step + k];
  }
}

// Slivers of `width` lanes, each [depth][width]; the last one is filled up with zeros.
void pack(const Operand& from, int64_t lanes, int64_t depth, int64_t width, float* out) {
  for (int64_t first = 0; first < lanes; first += width, out += depth * width) {
    const int64_t count = std::min(width, lanes - first);
    const float* const source = from.data + first * from.lane_step;
    if (count < width) std::fill_n(out, depth * width, 0.0F);
    if (from.lane_step == 1) {
      for (int64_t k = 0; k < depth; ++k) {
        std::copy_n(source + k * from.depth_step, count, out + k * width);
      }
    } else {
      pack_lines(source, from.lane_step, count, depth, width, out);
    }
  }
}

// C's block = or += packed A times packed B. A tile that sticks out goes through one of its own.
void multiply_block(int64_t rows, int64_t columns, int64_t depth, bool accumulates, const float* a,
                    const float* b, float* c, int64_t c_step) {
  for (int64_t column = 0; column < columns; column += kGemmTileColumns) {
    const int64_t wide = std::min(kGemmTileColumns, columns - column);
    for (int64_t row = 0; row < rows; row += kGemmTileRows) {
      const int64_t high = std::min(kGemmTileRows, rows - row);
      float* const target = c + row * c_step + column;
      if (wide == kGemmTileColumns && high == kGemmTileRows) {
        const GemmTile tile = {.depth = depth, .c_step = c_step, .accumulates = accumulates};
        loops::gemm_tile(tile, a + row * depth, b + column * depth, target);
        continue;
      }
      float edge[kGemmTileRows * kGemmTileColumns];
      const GemmTile tile = {.depth = depth, .c_step = kGemmTileColumns, .accumulates = false};
      loops::gemm_tile(tile, a + row * depth, b + column * depth, edge);
      for (int64_t i = 0; i < high; ++i) {
        for (int64_t j = 0; j < wide; ++j) {
          const float value = edge[i * kGemmTileColumns + j];
          target[i * c_step + j] = accumulates ? target[i * c_step + j] + value : value;
        }
      }
    }
  }
}

}  // namespace

void packed_gemm(const GemmShape& s, const float* a, const float* b, float beta, float* c) {
  const Operand left = {a, s.transpose_a ? 1 : s.lda, s.transpose_a ? s.lda : 1};
  const Operand right = {b, s.transpose_b ? s.ldb : 1, s.transpose_b ? 1 : s.ldb};
  thread_local std::vector<float> packed_a(kPackedRows * kPackedDepth);
  thread_local std::vector<float> packed_b(kPackedColumns * kPackedDepth);
  if (beta != 0 && beta != 1) {
    for (int64_t row = 0; row < s.m; ++row) {
      loops::scale(c + row * s.ldc, beta, c + row * s.ldc, s.n);
    }
  }
  for (int64_t column = 0; column < s.n; column += kPackedColumns) {
    const int64_t columns = std::min(kPackedColumns, s.n - column);
    for (int64_t k = 0; k < s.k; k += kPackedDepth) {
      const int64_t depth = std::min(kPackedDepth, s.k - k);
      pack({right.data + column * right.lane_step + k * right.depth_step, right.lane_step,
            right.depth_step},
           columns, depth, kGemmTileColumns, packed_b.data());
      for (int64_t row = 0; row < s.m; row += kPackedRows) {
        const int64_t rows = std::min(kPackedRows, s.m - row);
        pack({left.data + row * left.lane_step + k * left.depth_step, left.lane_step,
              left.depth_step},
             rows, depth, kGemmTileRows, packed_a.data());
        multiply_block(rows, columns, depth, k > 0 || beta != 0, packed_a.data(), packed_b.data(),
                       c + row * s.ldc + column, s.ldc);
      }
    }
  }
}

bool prefers_packed_gemm() {
  const char* wanted = std::getenv("FTRUN_GEMM");
  if (wanted != nullptr && std::strcmp(wanted, "own") == 0) return true;
  if (wanted != nullptr && std::strcmp(wanted, "blas") == 0) return false;
#if defined(__arm__)
  return simd_description() == "neon";
#else
  return false;
#endif
}

}  // namespace ft
