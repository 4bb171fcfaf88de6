#pragma once

// What a device has for us: all threads of the pool calculate for a while. A CPU quota, other
// programs and a clock that has slowed down show in how much they get done.

#include "kernels/thread_pool.h"
#include "runtime/base/clock.h"

namespace ft {

struct CpuProbe {
  double work = 0;     // in units that mean nothing but compare
  double cpu_us = 0;   // of all threads
  double wall_us = 0;  // of all threads, too: as many times longer than the clock says
  // Of the pauses in which a thread has not got on for half a millisecond or more: their sum, and
  // that of their squares.
  double pauses_us = 0;
  double pauses_us2 = 0;
};

// Takes about `duration_us`, longer when the CPU is taken away in between.
CpuProbe probe_cpu(ThreadPool* pool, TimeUs duration_us);

}  // namespace ft
