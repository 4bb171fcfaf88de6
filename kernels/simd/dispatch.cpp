// Chooses the table once, by CPUID, and forwards every loop to it.

#include <cstdlib>
#include <cstring>

#if defined(__arm__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "kernels/simd/loop_table.h"

namespace ft {

int runnable_loop_tables(const LoopTable* tables[kLoopTablesMax]) {
  int count = 0;
  tables[count++] = &kScalarLoops;
#if defined(__x86_64__)
  tables[count++] = &kSse2Loops;
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) tables[count++] = &kAvx2Loops;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  if (avx2 && avx512) tables[count++] = &kAvx512Loops;
#elif defined(__aarch64__)
  tables[count++] = &kNeonLoops;
#elif defined(__arm__)
  // NEON with fused multiply and add: Cortex-A7, A15 and every ARMv8 core in a 32-bit system.
  const unsigned long has = getauxval(AT_HWCAP);
  if ((has & HWCAP_NEON) != 0 && (has & HWCAP_VFPv4) != 0) tables[count++] = &kNeonLoops;
#endif
  return count;
}

namespace {

const LoopTable* choose_table() {
  const LoopTable* tables[kLoopTablesMax];
  const int count = runnable_loop_tables(tables);
  const char* wanted = std::getenv("FTRUN_SIMD");
  for (int i = 0; wanted != nullptr && i < count; ++i) {
    if (std::strcmp(wanted, tables[i]->name) == 0) return tables[i];
  }
  return tables[count - 1];
}

const LoopTable& active() {
  static const LoopTable* const table = choose_table();
  return *table;
}

}  // namespace

namespace loops {

#define FT_FORWARD_LOOP(result, loop, parameters, arguments) \
  result loop parameters { return active().loop arguments; }
FT_LOOPS(FT_FORWARD_LOOP)
#undef FT_FORWARD_LOOP

}  // namespace loops

std::string simd_description() { return active().name; }

}  // namespace ft
