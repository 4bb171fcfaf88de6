#pragma once

// Which devices, in which order: dynamic programming over all sets of devices (suffix_step.h says
// why the suffix of least latency is enough). A probe costs 2^devices * devices^2 / 4 * layers
// steps at most, so this is for kExactDevices and kExactLayers.

#include <cstdint>
#include <vector>

#include "partition/cost_table.h"
#include "partition/latency_probe.h"
#include "partition/suffix_step.h"

namespace ft {

class SubsetSearch : public LatencyProbe {
 public:
  // REQUIRES: at most kExactDevices devices. The table must outlive the search.
  explicit SubsetSearch(CostTable* table);

  // Later probes see only plans of so many stages; at first all of them.
  void set_stages_max(int stages) { stages_max_ = stages; }

  double probe(double limit_us, double latency_us_max) override;
  double slowest_us() override;

  // The fewest stages of a plan of at most this latency under the limit of the last probe.
  // REQUIRES: there is one.
  int stages_min(double latency_us_max) const;

  // Of the orders with so many stages and at most this latency under the limit of the last probe,
  // the first in lexicographic order: central first if possible, then the nearest to 0, 1, 2 ...
  // REQUIRES: there is one.
  std::vector<int> first_order(int stages, double latency_us_max) const;

 private:
  using Set = uint32_t;  // of devices

  size_t cuts() const { return static_cast<size_t>(layers_) + 1; }
  double* row(Set set, int front) { return latency_.data() + offset(set, front); }
  const double* row(Set set, int front) const { return latency_.data() + offset(set, front); }
  size_t offset(Set set, int front) const {
    return (set * static_cast<size_t>(devices_) + static_cast<size_t>(front)) * cuts();
  }
  const CutSpan& span(Set set, int front) const {
    return span_[set * static_cast<size_t>(devices_) + static_cast<size_t>(front)];
  }

  // A suffix in the table: its devices, the first of them, its first layer.
  struct Suffix {
    Set set = 0;
    int front = 0;
    int first = 0;
  };

  Suffix least_whole() const;
  Suffix least_behind(const Suffix& suffix) const;
  double input_us(int front) const;
  void make_ahead();
  void extend(Set set, int front);
  CutSpan collect_key(Set set, int front);
  int last_first_layer(Set set) const;
  std::vector<double> left_behind(int device, int stages, const std::vector<double>& left) const;
  bool leads(int device, int stages, Set used, const std::vector<double>& left) const;

  CostTable* table_;
  int devices_;
  int layers_;
  int stages_max_;
  double limit_us_ = 0;
  double total_us_max_ = 0;
  // [set][first layer]: the layers in front, each on the fastest of the devices not in the set.
  std::vector<double> ahead_us_;
  // [set][front device][first layer]: the least latency of a suffix. Only what lies in the span of
  // (set, front) has a meaning.
  std::vector<double> latency_;
  std::vector<CutSpan> span_;
  std::vector<double> by_stages_;  // the least latency of whole models
  std::vector<double> key_;
  std::vector<int> window_;
};

}  // namespace ft
