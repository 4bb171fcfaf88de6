#pragma once

// Cpu: what the compute thread of a simulated device runs on: one task after the other, all the
// time or under a quota, as Linux gives it to a control group: so much of each period, from its
// beginning until it is used up. Messages cost none of it.

#include "runtime/base/clock.h"
#include "tests/sim/pace.h"

namespace ft::sim {

struct TaskRun {
  TimeUs ready_at = 0;
  TimeUs busy_us = 0;  // with what the task before still took after its result
  TimeUs cpu_us = 0;   // likewise
};

class Cpu {
 public:
  explicit Cpu(const CpuQuota& quota) : quota_(quota) {}

  // The task after all others. `now` never decreases.
  TaskRun run(TimeUs now, const TaskTime& time);
  // Of all tasks so far, the last one's rest excepted.
  TimeUs used_us() const { return used_us_; }

 private:
  TimeUs end_of(TimeUs from, TimeUs cpu_us);

  CpuQuota quota_;
  int64_t period_ = -1;        // the last that something ran in
  TimeUs used_in_period_ = 0;  // of its quota
  TimeUs free_at_ = 0;
  TimeUs rest_us_ = 0;  // of the last task, after its result: by the clock
  TimeUs rest_cpu_us_ = 0;
  TimeUs used_us_ = 0;
};

}  // namespace ft::sim
