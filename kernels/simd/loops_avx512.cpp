#define FT_SIMD_LANES 16
#define FT_SIMD_NAME "avx512"
#define FT_SIMD_TABLE kAvx512Loops
#include "kernels/simd/loop_bodies.h"
