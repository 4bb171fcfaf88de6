#pragma once

// Time is a number that the shell reads and hands in. The pure parts never ask for it.

#include <cstdint>

namespace ft {

// Microseconds of a monotonic clock; only differences mean something.
using TimeUs = int64_t;

constexpr TimeUs kMillisecondUs = 1000;
constexpr TimeUs kSecondUs = 1000 * 1000;

TimeUs monotonic_now_us();

// Seconds since 1970, by the system's clock: for people, never for decisions.
double wall_clock_s();

// CPU time of the calling thread.
TimeUs thread_cpu_now_us();
// Of all threads of the process.
TimeUs process_cpu_now_us();

}  // namespace ft
