#define FT_SIMD_LANES 4
#define FT_SIMD_NAME "neon"
#define FT_SIMD_TABLE kNeonLoops
#include "kernels/simd/loop_bodies.h"
