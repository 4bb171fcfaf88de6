#pragma once

// Speed: how many times longer than when it was measured a device's work takes now, estimated from
// the batches it trains. Pure.
//
// A device that has its CPU to itself takes for its tasks what the clock says. One that must share
// it (a quota, other programs) is elastic: it takes its pauses when it likes, and looks fast while
// it has little to do. What it costs there is CPU time, that of its transport included, over the
// share that it gets. The share is known from a measurement under load; that it has become smaller
// shows in tasks that take longer than their CPU time explains, that it has become greater only
// when the device is busy all the time, or is measured again.

#include <algorithm>
#include <deque>
#include <vector>

namespace ft {

// Below this share of its time the CPU is not the device's own.
constexpr double kElasticShare = 0.9;

// The part of the time that a calculating thread has the CPU, from a probe.
inline double cpu_share(double cpu_us, double wall_us) {
  return wall_us > 0 && cpu_us > 0 ? std::min(cpu_us / wall_us, 1.0) : 1.0;
}

// One batch of a device.
struct BatchTimes {
  double expected_us = 1;  // by the first measurement
  double wall_us = 1;      // of its tasks
  double cpu_us = 0;       // of its tasks, for each thread
  double besides_us = 0;   // CPU time that the process took besides, for transport above all
  double bytes = 1;        // what it sent and received at its cuts, and planner.h's kMessagesBytes
  double load = 1;         // part of the time that it was busy, 0 .. 1
};

class Speed {
 public:
  // The first measurement, with what share of its CPU; 0: not known, all of it.
  void measured(double share);
  // A later one under load: the same work takes `times` as long as at first.
  void measured_again(double times, double share);
  void add(const BatchTimes& batch);
  // Its work is another one from now on: what was seen so far stays, but does not mix, and what is
  // seen next is no shift. Other layers may take their own share of caches and transport.
  void work_changed();

  double times() const { return times_; }
  // What to plan with: in a pipeline others wait when a batch is late, and gain little when the
  // next is early, so that half of what batches scatter (their standard deviation) comes on top.
  double paced_times() const { return times_ * (1 + scatter_ / 2); }
  // How far off times() may be, relative: the standard error of the mean that it is.
  double error() const;
  // What a byte at its cuts costs an elastic device, in the sense of planner.h.
  double byte_us() const { return elastic_ ? byte_us_ * level_ : 0; }
  // Seems faster than believed: to be measured again.
  bool looks_faster() const;
  // By how much the estimate has changed since this told so last, up or down: > 1; 1 when that may
  // be noise.
  double take_shift();

 private:
  // In multiples of what was measured first, CPU time over the share of then.
  struct Sample {
    double wall = 1;
    double cpu = 1;
    double besides = 0;
    double byte_us = 0;
    double load = 1;
  };
  bool tells() const;
  std::vector<double> sorted(double Sample::*what) const;
  double mean(double Sample::*what) const;
  double scatter(double Sample::*what) const;
  void estimate();

  std::deque<Sample> samples_;
  bool changed_ = false;   // the last few are far off
  bool new_work_ = false;  // and nothing was estimated since
  double times_ = 1;
  double scatter_ = 0;  // relative
  double byte_us_ = 0;
  double told_ = 1;   // at the last shift
  double share_ = 1;  // when it was measured first
  double level_ = 1;  // how many times longer its CPU time takes than then
  bool elastic_ = false;
};

}  // namespace ft
