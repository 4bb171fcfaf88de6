#include "runtime/exec/cpu_probe.h"

#include <vector>

namespace ft {
namespace {

constexpr int kFloats = 1024;
constexpr int kPassesPerLook = 64;   // at the clock: some 20 microseconds
constexpr double kPauseUsMin = 500;  // less is the system's own work

// Multiplications and additions on what fits the first cache.
CpuProbe calculate(TimeUs duration_us) {
  std::vector<float> values(kFloats, 1.0F);
  CpuProbe probe;
  const TimeUs wall_from = monotonic_now_us();
  const TimeUs cpu_from = thread_cpu_now_us();
  while (probe.wall_us < static_cast<double>(duration_us)) {
    for (int pass = 0; pass < kPassesPerLook; ++pass) {
      for (float& value : values) value = value * 0.999F + 0.001F;
    }
    probe.work += static_cast<double>(values[0]) > 0 ? 1 : 0;  // keeps the loop
    const auto wall_us = static_cast<double>(monotonic_now_us() - wall_from);
    const double step_us = wall_us - probe.wall_us;
    probe.wall_us = wall_us;
    if (step_us < kPauseUsMin) continue;
    probe.pauses_us += step_us;
    probe.pauses_us2 += step_us * step_us;
  }
  probe.cpu_us = static_cast<double>(thread_cpu_now_us() - cpu_from);
  return probe;
}

}  // namespace

CpuProbe probe_cpu(ThreadPool* pool, TimeUs duration_us) {
  std::vector<CpuProbe> each(static_cast<size_t>(pool->threads()));
  pool->run(pool->threads(),
            [&](int64_t index) { each[static_cast<size_t>(index)] = calculate(duration_us); });
  CpuProbe sum;
  for (const CpuProbe& probe : each) {
    sum.work += probe.work;
    sum.cpu_us += probe.cpu_us;
    sum.wall_us += probe.wall_us;
    sum.pauses_us += probe.pauses_us;
    sum.pauses_us2 += probe.pauses_us2;
  }
  return sum;
}

}  // namespace ft
