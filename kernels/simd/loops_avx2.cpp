#define FT_SIMD_LANES 8
#define FT_SIMD_NAME "avx2"
#define FT_SIMD_TABLE kAvx2Loops
#include "kernels/simd/loop_bodies.h"
