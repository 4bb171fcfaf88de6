// How long the planner takes, printed when asked for:
//   FT_PLAN_TIMES=1 build/release/tests/partition/partition_test -tc='planner: times*'
// Nothing is asserted: machines differ, and so does what else they do.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <doctest/doctest.h>

#include "partition/order_climb.h"
#include "partition/order_search.h"
#include "partition/planner.h"
#include "tests/partition/plan_cases.h"

namespace {

struct Size {
  int devices;
  int layers;
};

void print_times(const Size& size, bool sync) {
  constexpr int kRequests = 5;
  double slowest_ms = 0;
  double sum_ms = 0;
  size_t stages = 0;
  for (uint64_t seed = 0; seed < kRequests; ++seed) {
    auto request = ft::test::large_request(seed, size.devices, size.layers, sync);
    for (ft::DeviceCost& device : request.devices) device.byte_us = 0.002;
    request.messages_bytes = 10'000;
    const std::clock_t start = std::clock();  // of this process: others run as well
    const auto plan = ft::make_plan(request);
    const double ms = 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    REQUIRE(plan.ok());
    slowest_ms = std::max(slowest_ms, ms);
    sum_ms += ms;
    stages += plan->stages.size();
  }
  std::printf("%2d devices %4d layers %-5s  mean %7.1f ms  slowest %7.1f ms  %.1f stages\n",
              size.devices, size.layers, sync ? "sync" : "async", sum_ms / kRequests, slowest_ms,
              static_cast<double>(stages) / kRequests);
}

// How much more the climb's order costs than the exact one, where both can be had.
void print_climb_gap(bool sync) {
  constexpr int kRequests = 50;
  double worst = 0;
  double sum = 0;
  int exact_ones = 0;
  for (uint64_t seed = 100; seed < 100 + kRequests; ++seed) {
    const auto request = ft::test::large_request(seed, 8, 40, sync);
    const auto exact = ft::make_plan(request);
    ft::CostTable table(request);
    const std::vector<int> order = ft::climb_order(&table, {});
    const double cost_us = ft::predict(request, order, ft::best_ranges(&table, order)).batch_us;
    REQUIRE(exact.ok());
    const double gap = std::max(0.0, cost_us / exact->batch_us - 1);
    worst = std::max(worst, gap);
    sum += gap;
    if (gap < 2 * ft::kPlanTolerance) ++exact_ones;
  }
  std::printf("climb, 8 devices 40 layers %-5s  mean gap %.2f%%  worst %.2f%%  none in %d of %d\n",
              sync ? "sync" : "async", 100 * sum / kRequests, 100 * worst, exact_ones, kRequests);
}

}  // namespace

TEST_CASE("planner: times are printed when FT_PLAN_TIMES is set") {
  if (std::getenv("FT_PLAN_TIMES") == nullptr) return;
  for (const Size& size :
       {Size{3, 30}, {8, 100}, {8, 128}, {8, 2000}, {12, 100}, {16, 100}, {64, 100}, {64, 2000}}) {
    for (const bool sync : {false, true}) print_times(size, sync);
  }
  for (const bool sync : {false, true}) print_climb_gap(sync);
}
