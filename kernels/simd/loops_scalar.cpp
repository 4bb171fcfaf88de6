#define FT_SIMD_LANES 1
#define FT_SIMD_NAME "scalar"
#define FT_SIMD_TABLE kScalarLoops
#include "kernels/simd/loop_bodies.h"
