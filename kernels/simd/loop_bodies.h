// The bodies of all loops and their table: the one source that loops_*.cpp compile, each with its
// own FT_SIMD_LANES and instruction set. No include guard and no standard library: see vector.h.

#include "kernels/simd/loop_table.h"
#include "kernels/simd/vector.h"

#include "kernels/simd/bodies_elementwise.h"
#include "kernels/simd/bodies_fir.h"
#include "kernels/simd/bodies_pairs.h"
#include "kernels/simd/bodies_reduce.h"

namespace ft {

extern const LoopTable FT_SIMD_TABLE = {
    FT_SIMD_NAME,
#define FT_FILL_POINTER(result, loop, parameters, arguments) loop,
    FT_LOOPS(FT_FILL_POINTER)
#undef FT_FILL_POINTER
};

}  // namespace ft
