#pragma once

// The bodies of all loops and their table: the one source that loops_*.cpp compile, each with its
// own FT_SIMD_LANES and instruction set. Nothing of the standard library: see vector.h.

#include "kernels/simd/bodies_elementwise.h"
#include "kernels/simd/bodies_fir.h"
#include "kernels/simd/bodies_gemm.h"
#include "kernels/simd/bodies_pairs.h"
#include "kernels/simd/bodies_random.h"
#include "kernels/simd/bodies_reduce.h"
#include "kernels/simd/bodies_shifted.h"
#include "kernels/simd/loop_table.h"
#include "kernels/simd/vector.h"

namespace ft {

// clang-format off
extern const LoopTable FT_SIMD_TABLE = {
    FT_SIMD_NAME,
#define FT_FILL_POINTER(result, loop, parameters, arguments) loop,
    FT_LOOPS(FT_FILL_POINTER)
#undef FT_FILL_POINTER
};
// clang-format on

}  // namespace ft
