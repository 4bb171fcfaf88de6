#pragma once

// CutInterval: `--replicate-every auto`. Chooses how many batches lie between two cuts so that
// taking them costs about one percent of the compute time of the slowest stage, by what cuts and
// batches have cost in this term. Pure.

#include <cstdint>

#include "runtime/base/clock.h"

namespace ft {

constexpr int64_t kCutEveryStart = 10;
constexpr int64_t kCutEveryMin = 5;
constexpr int64_t kCutEveryMax = 1000;
constexpr int64_t kCutCostShare = 100;  // one part in so many
constexpr int64_t kCutsMeasured = 2;    // before anything is chosen

class CutInterval {
 public:
  // A new term: what was measured before belongs to other ranges.
  void begin(TimeUs now, int64_t every);
  // A batch was finished; `snapshot_us` is the compute time that cuts have taken in this term on
  // the stage where they took most. Returns the new interval, or 0 when it stays.
  int64_t finished(TimeUs now, bool is_cut, TimeUs snapshot_us);

  TimeUs cut_us() const { return cut_us_; }
  TimeUs batch_us() const { return batch_us_; }

 private:
  TimeUs begun_ = 0;
  int64_t every_ = kCutEveryStart;
  int64_t batches_ = 0;
  int64_t cuts_ = 0;
  TimeUs cut_us_ = 0;
  TimeUs batch_us_ = 0;
};

}  // namespace ft
