#include "runtime/base/clock.h"

#include <ctime>

namespace ft {
namespace {

TimeUs read_clock_us(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<TimeUs>(now.tv_sec) * kSecondUs + now.tv_nsec / 1000;
}

}  // namespace

TimeUs monotonic_now_us() { return read_clock_us(CLOCK_MONOTONIC); }
double wall_clock_s() { return static_cast<double>(read_clock_us(CLOCK_REALTIME)) / kSecondUs; }
TimeUs thread_cpu_now_us() { return read_clock_us(CLOCK_THREAD_CPUTIME_ID); }
TimeUs process_cpu_now_us() { return read_clock_us(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace ft
