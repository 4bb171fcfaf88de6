#include "tests/sim/cpu.h"

#include <algorithm>

namespace ft::sim {

TaskRun Cpu::run(TimeUs now, const TaskTime& time) {
  const TimeUs from = std::max(now, free_at_);
  TaskRun run;
  run.ready_at = end_of(from, time.result_us);
  run.busy_us = run.ready_at - from + rest_us_;
  run.cpu_us = time.result_us + rest_cpu_us_;
  used_us_ += run.cpu_us;
  free_at_ = end_of(run.ready_at, time.rest_us);
  rest_us_ = free_at_ - run.ready_at;
  rest_cpu_us_ = time.rest_us;
  return run;
}

TimeUs Cpu::end_of(TimeUs from, TimeUs cpu_us) {
  if (quota_.share >= 1) return from + cpu_us;
  const auto allowed = static_cast<TimeUs>(quota_.share * static_cast<double>(quota_.period_us));
  TimeUs at = from;
  while (cpu_us > 0) {
    const int64_t period = (at + quota_.phase_us) / quota_.period_us;
    const TimeUs next = (period + 1) * quota_.period_us - quota_.phase_us;
    if (period != period_) used_in_period_ = 0;
    period_ = period;
    const TimeUs ran = std::min({cpu_us, allowed - used_in_period_, next - at});
    used_in_period_ += ran;
    cpu_us -= ran;
    at = cpu_us > 0 ? next : at + ran;
  }
  return at;
}

}  // namespace ft::sim
