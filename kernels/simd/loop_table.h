#pragma once

// A table of every loop for one instruction set, and the list of tables in this build.

#include "kernels/simd/loops.h"

namespace ft {

struct LoopTable {
  const char* name;
#define FT_DECLARE_POINTER(result, loop, parameters, arguments) result(*loop) parameters;
  FT_LOOPS(FT_DECLARE_POINTER)
#undef FT_DECLARE_POINTER
};

// One per file loops_*.cpp; which of them a build has depends on the target (CMakeLists.txt).
extern const LoopTable kScalarLoops;
#if defined(__x86_64__)
extern const LoopTable kSse2Loops;
extern const LoopTable kAvx2Loops;
extern const LoopTable kAvx512Loops;
#elif defined(__aarch64__) || defined(__arm__)
extern const LoopTable kNeonLoops;
#endif

#ifndef FT_SIMD_LANES
// Tables that this machine can run, slowest first; tables[0] is the scalar one. Returns the count.
constexpr int kLoopTablesMax = 4;
int runnable_loop_tables(const LoopTable* tables[kLoopTablesMax]);
#endif

}  // namespace ft
