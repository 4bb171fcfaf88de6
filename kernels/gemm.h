#pragma once

// Matrix products on OpenBLAS, or on packed_gemm.h where that is faster, parallel in our own pool.
// OpenBLAS runs single-threaded inside; the work is cut into panels by shape, so the bits do not
// depend on the thread count. All matrices are row-major. cblas.h is included by gemm.cpp only.

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/thread_pool.h"

namespace ft {

struct GemmShape {
  bool transpose_a = false;
  bool transpose_b = false;
  int64_t m = 0;  // rows of op(A) and C
  int64_t n = 0;  // columns of op(B) and C
  int64_t k = 0;  // columns of op(A), rows of op(B)
  int64_t lda = 0;
  int64_t ldb = 0;
  int64_t ldc = 0;
};

// C = op(A) op(B), cut into panels of columns (or rows, when those are more). `bias`, if not null,
// is a number for each row that its sums begin with.
void gemm(const GemmShape& shape, const float* a, const float* b, const float* bias, float* c,
          ThreadPool* pool);

// C = op(A) op(B) + beta C on the calling thread alone, for use inside a task of the pool.
void gemm_serial(const GemmShape& shape, const float* a, const float* b, float beta, float* c);

// C = op(A) op(B) for small m x n and long k (weight gradients): k is cut into chunks by shape, the
// partial products are added in the order of k. `workspace` has gemm_long_k_workspace_bytes(shape).
void gemm_long_k(const GemmShape& shape, const float* a, const float* b, float* c,
                 std::byte* workspace, ThreadPool* pool);
int64_t gemm_long_k_workspace_bytes(const GemmShape& shape);

// "OpenBLAS 0.3.21 Cooperlake", or "own GEMM": part of a member's numerics (DESIGN 3).
std::string blas_description();

// Debian 12's OpenBLAS takes its kernels for Prescott (SSE3) on an x86-64 CPU that it does not
// know: what OPENBLAS_CORETYPE should say there. Empty where it has chosen well. `core` is its
// choice, `simd` the CPU's best table of loops (simd_description()).
std::string missed_blas_core(const std::string& core, const std::string& simd);
std::string missed_blas_core();

}  // namespace ft
