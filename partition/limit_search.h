#pragma once

// The search for the best limit T on every c, f and b of a plan. What a probe can tell exactly for
// one T is the least latency L of the plans under it. In async a plan has period T or less exactly
// if a probe of T finds it; in sync a plan under T costs at most (M - 1) * T + L.

#include <optional>

#include "partition/cost_table.h"
#include "partition/latency_probe.h"
#include "partition/planner.h"

namespace ft {

constexpr double kGapAsync = kPlanTolerance / 8;
constexpr double kGapSync = kPlanTolerance / 4;  // halving it nearly doubles the probes

struct LimitGoal {
  double cost_us_max;  // only plans that cost less are looked for; kNever: any
  double gap;          // relative: what the least cost may be missed by
};

// Any plan, as near to the best as leaves room for choice within kPlanTolerance.
LimitGoal any_plan(const CostTable& table);

// All plans under the limit with at most this latency cost at most cost_us.
struct LimitFound {
  double cost_us = 0;
  double limit_us = 0;
  double latency_us_max = 0;
};

// The least cost to within the gap. Empty when no plan costs less than goal.cost_us_max; one that
// costs less than cost_us_max / (1 + gap) is never overlooked.
std::optional<LimitFound> search_limit(const CostTable& table, const LimitGoal& goal,
                                       LatencyProbe* probe);

// The same for all plans that cost at most `cost_us_max` (in sync those under the same limit).
LimitFound widened(const CostTable& table, const LimitFound& found, double cost_us_max);

}  // namespace ft
