#pragma once

// Speed: how many times longer than when it was measured a device's work takes now, estimated from
// the batches it trains. Pure.
//
// A device that has its CPU to itself takes for its tasks what the clock says. One that must share
// it (a quota, other programs) is elastic: it takes its pauses when it likes, and looks fast while
// it has little to do. What it costs there is CPU time, that of its transport included, over the
// share that it gets. The share is known from a measurement under load; that it has become smaller
// shows in tasks that take longer than their CPU time explains, that it has become greater only
// when the device is busy all the time, or is measured again. No single measurement is trusted that
// far contradicts what is believed.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <vector>

#include "runtime/base/clock.h"

namespace ft {

// Below this share of its time the CPU is not the device's own.
constexpr double kElasticShare = 0.9;
// How long a device is probed; one that does not have its CPU to itself that many times longer when
// it is measured first, over many of its pauses. Later that would cost those who wait for it.
constexpr TimeUs kCpuProbeUs = 300 * kMillisecondUs;
constexpr int kElasticLooks = 3;

// The part of the time that a calculating thread has the CPU, from a probe.
inline double cpu_share(double cpu_us, double wall_us) {
  return wall_us > 0 && cpu_us > 0 ? std::min(cpu_us / wall_us, 1.0) : 1.0;
}

// How long the pause is in which one finds oneself, from the sum of pauses and that of their
// squares: long ones count for more.
inline double pause_length(double pauses_us, double pauses_us2) {
  return pauses_us > 0 ? pauses_us2 / pauses_us : 0;
}

// What a device has of its CPU, and what messages take of it.
struct CpuMeasure {
  double share = 1;     // of the time that it calculates; 0: not known, all of it
  double pause_us = 0;  // how long it has none at a time
  double byte_us = 0;   // CPU time of a byte that is sent or received; 0: not known
};

// One batch of a device.
struct BatchTimes {
  double expected_us = 1;  // by the first measurement
  double wall_us = 1;      // of its tasks
  double cpu_us = 0;       // of its tasks, for each thread
  double besides_us = 0;   // CPU time that the process took besides, for transport above all
  double bytes = 1;        // what it sent and received at its cuts, and planner.h's kMessagesBytes
  double busy_us = 1;      // with any work, of the time since the batch before,
  double passed_us = 1;    // as central hears of them: batches may be told of at once
};

// Batches that an estimate is made of, the newest.
constexpr size_t kSpeedSamples = 32;
// Until enough batches have told.
constexpr double kErrorUnknown = 0.05;

class Speed {
 public:
  // The first measurement.
  void measured(const CpuMeasure& cpu);
  // A later one under load: the same work takes `times` as long as at first; of an elastic device
  // only its share counts while it is shared, as its batches' CPU time tells the rest. Returns
  // whether it is so far off that it counts only if the next one, to be made at once, says so, too.
  bool measured_again(double times, double share, double pause_us = 0);
  void add(const BatchTimes& batch);
  // Its work is another one from now on: what was seen so far stays, but does not mix, and what is
  // seen next is no shift. Other layers may take their own share of caches and transport.
  void work_changed();

  double times() const { return times_; }
  // What to plan with: in a pipeline others wait when a batch is late, and gain little when the
  // next is early, so that half of what batches scatter (their standard deviation) comes on top.
  // Not for an elastic device: its pauses show only while it is loaded, and of two that are equal
  // one is more so.
  double paced_times() const { return elastic_ ? times_ : times_ * (1 + scatter_ / 2); }
  // What its pauses cost in the same way: a batch that is n pauses long in the mean, n < 1,
  // scatters by sqrt(n (1 - n)) of one, half a pause at most.
  double pauses_us() const { return elastic_ ? pause_us_ / 4 : 0; }
  // How far off times() may be, relative: the standard error of the mean that it is, by how much
  // the means of a few batches in a row differ; of an elastic device also what one pause more or
  // less makes in the time that its share was taken from.
  double error() const { return elastic_ ? std::max(error_, level_error_) : error_; }
  // What a byte at its cuts costs an elastic device, in the sense of planner.h: as it was measured
  // until batches have told.
  double byte_us() const { return elastic_ ? byte_us_ * level_ : 0; }
  bool is_elastic() const { return elastic_; }
  // Waits for the measurement that confirms the last one.
  bool is_doubted() const { return doubted_.times > 0; }
  // Seems faster than believed: to be measured again.
  bool looks_faster() const;
  // By how much the estimate has changed since this told so last, up or down: > 1; 1 when that may
  // be noise.
  double take_shift();

 private:
  // A later measurement; `times` of an elastic device that is still one: by its share alone.
  struct Probe {
    double times = 0;  // 0: none
    double share = 1;
  };
  // By its share: how many times longer CPU time takes than at first.
  double level_of(const Probe& probe) const;
  // In multiples of what was measured first, CPU time over the share of then.
  struct Sample {
    double wall = 1;
    double cpu = 1;
    double besides = 0;
    double byte_us = 0;
    double busy_us = 1;
    double passed_us = 1;
  };
  bool tells() const;
  // Of the oldest so many samples.
  std::vector<double> sorted(double Sample::*what, size_t count = kSpeedSamples) const;
  double mean(double Sample::*what) const;
  double level_error_min() const;
  double passed_us() const;
  double load() const;
  double error_of(double Sample::*what) const;
  void estimate();
  void forget();

  std::deque<Sample> samples_;
  bool changed_ = false;   // the last few are far off
  bool new_work_ = false;  // and nothing was estimated since
  double times_ = 1;
  double scatter_ = 0;  // relative; of an elastic device when it was loaded last
  double error_ = kErrorUnknown;
  double level_error_ = 0;  // relative, of level_
  double byte_us_ = 0;
  double told_ = 1;   // at the last shift
  double share_ = 1;  // when it was measured first
  double level_ = 1;  // how many times longer its CPU time takes than then
  double cpu_ = 1;    // how many times more of it an elastic device takes
  double pause_us_ = 0;
  Probe doubted_;  // the last one, if it did not count
  bool elastic_ = false;
};

}  // namespace ft
