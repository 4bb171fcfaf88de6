// How a plan is made: first the order of the devices, then the cuts for that order.
//
// Up to kExactDevices and kExactLayers the order comes from dynamic programming over all sets of
// devices (subset_search.h) and all limits (limit_search.h), so the plan is within kPlanTolerance
// of the best there is. Beyond:
//   - more layers are first made kExactLayers (coarse_layers.h), or kLayersPerDevice for each
//     device; only the cuts are then made on all layers, exactly for the order found;
//   - more devices are ordered by hill climbing (order_climb.h), one start of which is the exact
//     order of central and the kExactDevices - 1 fastest of the others.
// What that misses, where the exact plan is known (50 drawn clusters of 8 devices and 40 layers,
// without the exact start): async 0.7 % on average and 3.0 % at worst, sync 0.1 % and 1.8 %. With
// tight memories a plan may be missed although there is one.

#include "partition/planner.h"

#include <algorithm>
#include <numeric>

#include "partition/coarse_layers.h"
#include "partition/cost_table.h"
#include "partition/limit_search.h"
#include "partition/no_fit.h"
#include "partition/order_climb.h"
#include "partition/order_search.h"
#include "partition/subset_search.h"
#include "runtime/base/check.h"

namespace ft {
namespace {

constexpr int kLayersPerDevice = 8;  // enough to balance: the last cuts are made on all layers

// Empty when nothing fits.
std::vector<int> exact_order(CostTable* table) {
  SubsetSearch search(table);
  LimitGoal goal = any_plan(*table);
  const auto best = search_limit(*table, goal, &search);
  if (!best) return {};
  goal.cost_us_max = best->cost_us / (1 + goal.gap) * (1 + kPlanTolerance);
  // Every plan up to here is good enough; which one is taken is a matter of the devices in it.
  LimitFound found = widened(*table, *best, goal.cost_us_max);
  for (;;) {
    search.probe(found.limit_us, found.latency_us_max);
    const int stages = search.stages_min(found.latency_us_max);
    std::vector<int> order = search.first_order(stages, found.latency_us_max);
    // In sync fewer stages may be as good under another limit.
    search.set_stages_max(stages - 1);
    const auto fewer = search_limit(*table, goal, &search);
    if (!fewer) return order;
    found = widened(*table, *fewer, goal.cost_us_max);
  }
}

// Device i of the result is device devices[i] of the request.
PlanRequest some_devices(PlanRequest request, const std::vector<int>& devices) {
  const PlanRequest all = request;
  request.devices.clear();
  request.links.clear();
  request.unreachable.clear();
  for (size_t i = 0; i < devices.size(); ++i) {
    const auto from = static_cast<size_t>(devices[i]);
    request.devices.push_back(all.devices[from]);
    if (!all.links.empty()) request.links.emplace_back();
    for (size_t j = 0; j < devices.size(); ++j) {
      if (!all.links.empty()) {
        request.links[i].push_back(all.links[from][static_cast<size_t>(devices[j])]);
      }
      if (all.unreachable.count({devices[i], devices[j]}) != 0) {
        request.unreachable.emplace(static_cast<int>(i), static_cast<int>(j));
      }
    }
  }
  return request;
}

// The exact order of central and the fastest of the others.
std::vector<int> order_of_fastest(const CostTable& table) {
  std::vector<int> fastest(static_cast<size_t>(table.devices()));
  std::iota(fastest.begin(), fastest.end(), 0);
  std::stable_sort(fastest.begin() + 1, fastest.end(),
                   [&table](int a, int b) { return table.speed(a) > table.speed(b); });
  fastest.resize(kExactDevices);
  std::sort(fastest.begin(), fastest.end());
  const PlanRequest part = some_devices(coarse_layers(table.request(), kExactLayers), fastest);
  CostTable part_table(part);
  std::vector<int> order = exact_order(&part_table);
  for (int& device : order) device = fastest[static_cast<size_t>(device)];
  return order;
}

std::vector<int> best_order(CostTable* table) {
  if (table->devices() > kExactDevices) return climb_order(table, order_of_fastest(*table));
  return exact_order(table);
}

}  // namespace

Result<Plan> make_plan(const PlanRequest& request) {
  CostTable table(request);
  const int layers_max = table.devices() > kExactDevices
                             ? std::max(kExactLayers, kLayersPerDevice * table.devices())
                             : kExactLayers;
  std::vector<int> order;
  if (table.layers() <= layers_max) {
    order = best_order(&table);
  } else {
    const PlanRequest coarse = coarse_layers(request, layers_max);
    CostTable coarse_table(coarse);
    order = best_order(&coarse_table);
    if (order.empty()) order = climb_order(&table, {});  // memories may need the finer cuts
  }
  if (order.empty()) return no_fit_error(request);
  return predict(request, order, best_ranges(&table, order));
}

}  // namespace ft
