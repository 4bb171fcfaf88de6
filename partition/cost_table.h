#pragma once

// What the searches ask a PlanRequest again and again: sums of layer times, transfer times of every
// cut over a link, and how far a range reaches in a device's memory. Rows of links and memories are
// made when first asked for: of 64 x 64 links a search looks at few. One owner, one thread; the
// request must outlive the table.

#include <vector>

#include "partition/planner.h"

namespace ft {

// Stands for "no limit": all that is finite is below, what cannot be done (infinite) is not.
constexpr double kNoLimit = std::numeric_limits<double>::max();
constexpr double kNever = std::numeric_limits<double>::infinity();

// The transfers between two neighbours, for each cut: forward + gradient, and the greater of them.
struct LinkTimes {
  std::vector<double> sum_us;   // layers + 1 values, indexed by the cut's layer
  std::vector<double> peak_us;  // kNever in all of them when the two cannot reach each other
};

class CostTable {
 public:
  explicit CostTable(const PlanRequest& request);

  const PlanRequest& request() const { return request_; }
  int layers() const { return layers_; }
  int devices() const { return devices_; }

  // us of the layers before each cut on this device: layers + 1 values.
  const std::vector<double>& before(int device) const { return before_[index(device)]; }
  // The same with what pauses and the messages at a cut cost: a range takes end_us of its last cut
  // less begin_us of its first.
  const std::vector<double>& begin_us(int device) const { return begin_us_[index(device)]; }
  const std::vector<double>& end_us(int device) const { return end_us_[index(device)]; }
  double compute_us(int device, const LayerRange& range) const {
    return end_us(device)[index(range.last)] - begin_us(device)[index(range.first)];
  }

  // The same with each layer on the device that runs it fastest, and how fast a device is at best
  // in that measure: in a time T it does at most T * speed of this work.
  const std::vector<double>& work_before() const { return work_before_; }
  double speed(int device) const { return speed_[index(device)]; }
  // The same times added in another order differ by less than this.
  double rounding_us() const { return rounding_us_; }
  // No plan has a slowest stage below this.
  double slowest_stage_us_min() const;

  const LinkTimes& link(int front, int back);
  // The model's input from central to the first stage: nothing when that is central itself.
  double input_sum_us(int device) { return device == 0 ? 0 : link(0, device).sum_us[0]; }
  double input_peak_us(int device) { return device == 0 ? 0 : link(0, device).peak_us[0]; }

  // range_ends of the device's memory.
  const std::vector<int>& range_end(int device, int in_flight);

 private:
  static size_t index(int i) { return static_cast<size_t>(i); }

  const PlanRequest& request_;
  int layers_;
  int devices_;
  std::vector<std::vector<double>> before_;
  std::vector<std::vector<double>> begin_us_;
  std::vector<std::vector<double>> end_us_;
  double rounding_us_ = 0;
  std::vector<double> work_before_;
  std::vector<double> speed_;
  std::vector<LinkTimes> links_;             // [front * devices + back]; empty until asked for
  std::vector<std::vector<int>> range_end_;  // [device * (devices + 1) + in_flight]; the same
};

}  // namespace ft
