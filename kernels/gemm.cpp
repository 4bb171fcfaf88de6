#include "kernels/gemm.h"

#include <algorithm>
#include <cblas.h>

#include "kernels/packed_gemm.h"
#include "kernels/parallel.h"
#include "kernels/simd/loops.h"
#include "runtime/base/check.h"

namespace ft {
namespace {

// OpenBLAS repacks both operands on every call, so a panel must be wide enough to pay for packing
// A again, and there should be enough panels for the cores of a board.
constexpr int64_t kPanelColumnsMin = 256;
constexpr int64_t kPanelColumnsMax = 1024;
constexpr int64_t kPanelRowsMin = 64;
constexpr int64_t kPanelsWanted = 8;
// Below this a second task costs more than it brings.
constexpr double kPanelFlopsMin = 1 << 20;

constexpr int64_t kChunkDepthMin = 1024;
constexpr int64_t kChunksMax = 16;
// Above this many elements of C the panels give work enough, and partial sums would cost more
// memory than they are worth.
constexpr int64_t kLongKElementsMax = 256 * 1024;

int64_t round_up(int64_t value, int64_t multiple) { return ceil_div(value, multiple) * multiple; }

struct Panels {
  int64_t columns = 0;  // of one panel
  int64_t rows = 0;
};

Panels panels_of(const GemmShape& s) {
  const double flops =
      2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  const int64_t worth =
      std::clamp<int64_t>(static_cast<int64_t>(flops / kPanelFlopsMin), 1, kPanelsWanted);
  Panels panels{.columns = s.n, .rows = s.m};
  if (s.n > kPanelColumnsMin) {
    panels.columns =
        std::clamp(round_up(ceil_div(s.n, worth), 64), kPanelColumnsMin, kPanelColumnsMax);
  }
  const int64_t column_panels = ceil_div(s.n, panels.columns);
  if (column_panels < worth) {
    const int64_t row_panels = ceil_div(worth, column_panels);
    panels.rows = std::max(kPanelRowsMin, round_up(ceil_div(s.m, row_panels), 16));
  }
  return panels;
}

int64_t long_k_chunks(const GemmShape& s) {
  if (s.m * s.n > kLongKElementsMax) return 1;
  return std::clamp<int64_t>(s.k / kChunkDepthMin, 1, kChunksMax);
}

// Element (row, column) of op(A), op(B).
const float* a_at(const GemmShape& s, const float* a, int64_t row, int64_t depth) {
  return s.transpose_a ? a + depth * s.lda + row : a + row * s.lda + depth;
}
const float* b_at(const GemmShape& s, const float* b, int64_t depth, int64_t column) {
  return s.transpose_b ? b + column * s.ldb + depth : b + depth * s.ldb + column;
}

bool use_one_blas_thread() {
  openblas_set_num_threads(1);
  return true;
}

blasint blas_int(int64_t value) {
  FT_CHECK(value >= 0 && value <= INT32_MAX);
  return static_cast<blasint>(value);
}

}  // namespace

void gemm_serial(const GemmShape& s, const float* a, const float* b, float beta, float* c) {
  static const bool packed = prefers_packed_gemm();
  static const bool once = packed || use_one_blas_thread();
  FT_CHECK(once);
  if (s.m == 0 || s.n == 0) return;
  if (s.k == 0) {  // BLAS asks for leading dimensions that an empty matrix does not have
    for (int64_t row = 0; row < s.m; ++row) {
      float* const target = c + row * s.ldc;
      if (beta == 0) loops::fill(0.0F, target, s.n);  // whatever C held, NaN included
      if (beta != 0) loops::scale(target, beta, target, s.n);
    }
    return;
  }
  if (packed) {
    packed_gemm(s, a, b, beta, c);
    return;
  }
  cblas_sgemm(CblasRowMajor, s.transpose_a ? CblasTrans : CblasNoTrans,
              s.transpose_b ? CblasTrans : CblasNoTrans, blas_int(s.m), blas_int(s.n),
              blas_int(s.k), 1.0F, a, blas_int(s.lda), b, blas_int(s.ldb), beta, c,
              blas_int(s.ldc));
}

void gemm(const GemmShape& s, const float* a, const float* b, const float* bias, float* c,
          ThreadPool* pool) {
  if (s.m == 0 || s.n == 0) return;
  const Panels panels = panels_of(s);
  const int64_t column_panels = ceil_div(s.n, panels.columns);
  const int64_t row_panels = ceil_div(s.m, panels.rows);
  pool->run(column_panels * row_panels, [&](int64_t task) {
    const int64_t row = task / column_panels * panels.rows;
    const int64_t column = task % column_panels * panels.columns;
    GemmShape panel = s;
    panel.m = std::min(panels.rows, s.m - row);
    panel.n = std::min(panels.columns, s.n - column);
    float* const target = c + row * s.ldc + column;
    for (int64_t i = 0; bias != nullptr && i < panel.m; ++i) {
      loops::fill(bias[row + i], target + i * s.ldc, panel.n);
    }
    gemm_serial(panel, a_at(s, a, row, 0), b_at(s, b, 0, column), bias == nullptr ? 0.0F : 1.0F,
                target);
  });
}

int64_t gemm_long_k_workspace_bytes(const GemmShape& s) {
  return (long_k_chunks(s) - 1) * s.m * s.n * static_cast<int64_t>(sizeof(float));
}

void gemm_long_k(const GemmShape& s, const float* a, const float* b, float* c, std::byte* workspace,
                 ThreadPool* pool) {
  const int64_t chunks = long_k_chunks(s);
  if (chunks == 1) {
    gemm(s, a, b, nullptr, c, pool);
    return;
  }
  // Chunk 0 goes to C itself, the others to the workspace, m x n each.
  float* const parts = reinterpret_cast<float*>(workspace);
  const int64_t depth = round_up(ceil_div(s.k, chunks), 16);
  pool->run(chunks, [&](int64_t chunk) {
    const int64_t first = std::min(s.k, chunk * depth);
    GemmShape part = s;
    part.k = std::min(depth, s.k - first);
    if (chunk > 0) part.ldc = s.n;
    float* const target = chunk == 0 ? c : parts + (chunk - 1) * s.m * s.n;
    gemm_serial(part, a_at(s, a, 0, first), b_at(s, b, first, 0), 0.0F, target);
  });
  parallel_for_rows(pool, s.m, s.n * chunks, [&](int64_t row) {
    for (int64_t chunk = 1; chunk < chunks; ++chunk) {
      loops::accumulate(parts + ((chunk - 1) * s.m + row) * s.n, c + row * s.ldc, s.n);
    }
  });
}

std::string blas_description() {
  if (prefers_packed_gemm()) return "own GEMM";
  // "OpenBLAS 0.3.21 NO_AFFINITY USE_OPENMP ...": the first two words name the version.
  const std::string config = openblas_get_config();
  const size_t name_end = config.find(' ');
  const size_t version_end =
      name_end == std::string::npos ? name_end : config.find(' ', name_end + 1);
  return config.substr(0, version_end) + " " + openblas_get_corename();
}

std::string missed_blas_core(const std::string& core, const std::string& simd) {
  if (core != "Prescott") return "";
  if (simd == "avx512") return "SKYLAKEX";
  return simd == "avx2" ? "HASWELL" : "";
}

std::string missed_blas_core() {
  return missed_blas_core(openblas_get_corename(), simd_description());
}

}  // namespace ft
