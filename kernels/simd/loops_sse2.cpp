#define FT_SIMD_LANES 4
#define FT_SIMD_NAME "sse2"
#define FT_SIMD_TABLE kSse2Loops
#include "kernels/simd/loop_bodies.h"
