#pragma once

// Where to cut for devices in a given order, all of which take layers: the same dynamic programming
// as in subset_search.h for one order, stages * layers steps a probe.

#include <vector>

#include "partition/cost_table.h"
#include "partition/latency_probe.h"
#include "partition/suffix_step.h"

namespace ft {

class OrderSearch : public LatencyProbe {
 public:
  // The table must outlive the search.
  explicit OrderSearch(CostTable* table);

  // stages * layers, added up over all probes: a measure of work that no clock is needed for.
  int64_t steps() const { return steps_; }

  void set_order(const std::vector<int>& order);

  double probe(double limit_us, double latency_us_max) override;
  double slowest_us() override;

  // The ranges of the least latency under the limit of the last probe.
  // REQUIRES: it found some.
  std::vector<LayerRange> ranges();

 private:
  CutSpan collect_key(size_t stage);
  size_t cuts() const { return static_cast<size_t>(layers_) + 1; }
  double* row(size_t stage) { return latency_.data() + stage * cuts(); }

  CostTable* table_;
  int layers_;
  int64_t steps_ = 0;
  double limit_us_ = 0;
  std::vector<double> ahead_us_;  // nothing is known about what is in front
  std::vector<int> order_;
  std::vector<double> latency_;  // [stage][first layer] of the suffix that begins with this stage
  std::vector<CutSpan> span_;    // [stage]
  std::vector<double> key_;
  std::vector<int> window_;
};

// The best ranges for an order, to within the gap of limit_search.h.
// REQUIRES: some fit.
std::vector<LayerRange> best_ranges(CostTable* table, const std::vector<int>& order);

}  // namespace ft
