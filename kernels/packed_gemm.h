#pragma once

// A matrix product of our own, for machines whose OpenBLAS is slow: Debian's armhf build is scalar,
// for ARMv6. Operands are packed into slivers as in Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication" (2008), and multiplied by loops::gemm_tile.
//
// An element of C is a sum over k in order, in parts of kPackedDepth that are added in order, so it
// depends on neither the panels that gemm.cpp cuts nor the tile that it falls into.

#include "kernels/gemm.h"

namespace ft {

// As gemm_serial: C = op(A) op(B) + beta C on the calling thread, whose packing space (some 360 KB,
// kept for its next call) it uses. REQUIRES: m, n, k > 0.
void packed_gemm(const GemmShape& shape, const float* a, const float* b, float beta, float* c);

// Whether gemm_serial should use it on this machine: yes where OpenBLAS has no vectors and our
// loops do, unless the environment variable FTRUN_GEMM says "blas", or anywhere if it says "own".
bool prefers_packed_gemm();

}  // namespace ft
