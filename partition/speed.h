#pragma once

// Speed: how many times longer than when it was measured a device's work takes now, estimated from
// the batches it trains. Pure.
//
// A device that must share its CPU (a quota, other programs, a slow clock when hot) looks fast
// while it has little to do. So an elastic device is believed to be faster than before only when
// it was busy all the time, or was measured again under load.

#include <algorithm>
#include <deque>

namespace ft {

// Below this share of its time the CPU is not the device's own.
constexpr double kElasticShare = 0.9;

// The part of the time that a calculating thread has the CPU, from a probe.
inline double cpu_share(double cpu_us, double wall_us) {
  return wall_us > 0 && cpu_us > 0 ? std::min(cpu_us / wall_us, 1.0) : 1.0;
}

class Speed {
 public:
  // Measured under load: `times` as long as at first. `elastic`: it did not have its CPU to itself.
  void measured(double times, bool elastic);
  // One batch took `times` as long; the device was busy for `load` (0 .. 1) of the time.
  void add(double times, double load);
  // Its work is another one from now on: what was seen so far stays, but does not mix.
  void forget_batches();

  double times() const { return times_; }
  // What the last batches say, were they believed; times() when there are too few.
  double seen() const;
  // Seems faster than believed: to be measured again.
  bool looks_faster() const;
  // The estimate has changed by more than noise since the last call.
  bool take_shift();

 private:
  struct Sample {
    double times = 1;
    double load = 1;
  };
  double mean() const;
  double load() const;

  std::deque<Sample> samples_;
  bool changed_ = false;  // the last few are far off
  double times_ = 1;
  double told_ = 1;  // at the last shift
  bool elastic_ = false;
};

}  // namespace ft
