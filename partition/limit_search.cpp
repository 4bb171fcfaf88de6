#include "partition/limit_search.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/check.h"

namespace ft {
namespace {

constexpr double kLimitMinUs = 1e-6;  // a model that costs nothing has a limit to start from, too
constexpr int kOutlookProbes = 8;
constexpr double kSlack = 0.02;  // of the cost

// Feasibility only grows with the limit: doubling until a probe finds a plan, then bisection. The
// least period is in (low, high], and high <= low * (1 + gap) in the end.
std::optional<LimitFound> search_async(const CostTable& table, const LimitGoal& goal,
                                       LatencyProbe* probe) {
  const auto feasible = [&](double limit_us) { return probe->probe(limit_us, kNoLimit) < kNever; };
  double low = std::max(table.slowest_stage_us_min(), kLimitMinUs);
  double high = goal.cost_us_max;
  if (high < kNever) {
    high /= 1 + goal.gap;
    if (!feasible(high)) return std::nullopt;
  } else {
    if (!feasible(kNoLimit)) return std::nullopt;
    for (high = low; !feasible(high); high *= 2) low = high;
  }
  low = std::min(low, high);
  while (high > low * (1 + goal.gap)) {
    const double middle = std::sqrt(low * high);
    (feasible(middle) ? high : low) = middle;
  }
  return LimitFound{high, high, kNoLimit};
}

// From the greatest limit down. Under a limit T latency is at least L(T), so a plan can beat the
// best by more than the gap only if its slowest element is below (best / (1 + gap) - L(T)) /
// (M - 1): that is the next limit. It is below T by gap * best / (M - 1) at least, as the best is
// no worse than what T gave. So there are at most 1 / gap probes, and no plan below best / (1 +
// gap) is passed over; where T costs much more than the best, the steps are long.
//
// A probe is faster the less latency it may look for. The next limit needs L(T) only if that is
// near the best; where it is beyond the slack, the slack is what the next limit follows from.
std::optional<LimitFound> search_sync(const CostTable& table, const LimitGoal& goal,
                                      LatencyProbe* probe) {
  const int others = table.request().micro_batches - 1;
  LimitFound best{goal.cost_us_max, kNoLimit, kNoLimit};
  // Returns the least latency under the limit; kNever if it is more than latency_us_max.
  const auto look = [&](double limit_us, double latency_us_max) {
    const double latency_us = probe->probe(limit_us, latency_us_max);
    if (latency_us == kNever) return kNever;
    const double slowest_us = probe->slowest_us();
    const double cost_us = others * slowest_us + latency_us;
    if (cost_us < best.cost_us) best = {cost_us, slowest_us, latency_us};
    return latency_us;
  };
  const auto next = [&](double latency_us) {
    return (best.cost_us / (1 + goal.gap) - latency_us) / others;
  };
  const double latency_us_min = look(kNoLimit, kNoLimit);
  if (latency_us_min == kNever) return std::nullopt;
  if (others > 0) {
    const double low = std::max(table.slowest_stage_us_min(), kLimitMinUs);
    // A look at the whole first: the better the best, the longer the steps.
    const int outlook = goal.cost_us_max < kNever ? 0 : kOutlookProbes;
    for (int i = 0; i < outlook; ++i) {
      const double limit = low * std::pow(latency_us_min / low, (i + 0.5) / kOutlookProbes);
      look(limit, best.cost_us - others * limit);
    }
    double slack_us = kSlack * best.cost_us;
    for (double limit = next(latency_us_min); limit >= low;) {
      const double latency_us_max = best.cost_us / (1 + goal.gap) - others * limit + slack_us;
      const double latency_us = look(limit, latency_us_max);
      slack_us = latency_us < kNever ? kSlack * best.cost_us : slack_us * 2;
      limit = next(std::min(latency_us, latency_us_max));
    }
  }
  if (best.cost_us >= goal.cost_us_max) return std::nullopt;
  return best;
}

}  // namespace

LimitGoal any_plan(const CostTable& table) {
  const double gap = table.request().sync ? kGapSync : kGapAsync;
  return {kNever, gap};
}

std::optional<LimitFound> search_limit(const CostTable& table, const LimitGoal& goal,
                                       LatencyProbe* probe) {
  return table.request().sync ? search_sync(table, goal, probe) : search_async(table, goal, probe);
}

LimitFound widened(const CostTable& table, const LimitFound& found, double cost_us_max) {
  if (!table.request().sync) return {cost_us_max, std::max(found.limit_us, cost_us_max), kNoLimit};
  const double slowest_us = (table.request().micro_batches - 1) * found.limit_us;
  return {cost_us_max, found.limit_us, std::max(found.latency_us_max, cost_us_max - slowest_us)};
}

}  // namespace ft
