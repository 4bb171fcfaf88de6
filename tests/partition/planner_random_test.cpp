// The planner against all plans there are, on cases drawn from seeds.

#include <algorithm>
#include <cmath>
#include <doctest/doctest.h>
#include <numeric>

#include "partition/coarse_layers.h"
#include "partition/planner.h"
#include "tests/partition/plan_cases.h"

namespace {

constexpr double kRounding = 1e-9;

std::vector<int> devices_of(const ft::Plan& plan) {
  std::vector<int> devices;
  for (const auto& stage : plan.stages) devices.push_back(stage.device);
  return devices;
}

std::vector<ft::LayerRange> ranges_of(const ft::Plan& plan) {
  std::vector<ft::LayerRange> ranges;
  for (const auto& stage : plan.stages) ranges.push_back(stage.range);
  return ranges;
}

// A plan as such: all layers once and in order, no device twice, within all limits, at the cost
// that it says.
void check_plan(const ft::PlanRequest& request, const ft::Plan& plan) {
  int next = 0;
  std::vector<bool> used(request.devices.size());
  for (const auto& stage : plan.stages) {
    CHECK(stage.range.first == next);
    CHECK(stage.range.last > next);
    next = stage.range.last;
    CHECK(!used[static_cast<size_t>(stage.device)]);
    used[static_cast<size_t>(stage.device)] = true;
  }
  CHECK(next == static_cast<int>(request.layers.size()));
  CHECK(ft::test::allowed(request, devices_of(plan), ranges_of(plan)));
  const double cost = ft::test::cost_by_definition(request, devices_of(plan), ranges_of(plan));
  CHECK(plan.batch_us == doctest::Approx(cost).epsilon(kRounding));
}

}  // namespace

TEST_CASE("planner: as good as the best of all plans, infeasible exactly when there is none") {
  int feasible = 0;
  int refused = 0;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    CAPTURE(seed);
    const ft::PlanRequest request = ft::test::random_request(seed, {});
    const std::vector<double> least_by_stages = ft::test::least_costs(request);
    const double least = *std::min_element(least_by_stages.begin(), least_by_stages.end());
    const auto plan = ft::make_plan(request);
    REQUIRE(plan.ok() == std::isfinite(least));
    ++(plan.ok() ? feasible : refused);
    if (!plan.ok()) {
      CHECK(plan.status().code() == ft::StatusCode::kInvalid);
      continue;
    }
    CAPTURE(ft::test::text_of(*plan));
    check_plan(request, *plan);
    CHECK(plan->batch_us <= least * (1 + ft::kPlanTolerance + kRounding));
    // Nothing with fewer stages is as good. The searches leave gaps of a quarter of the tolerance,
    // so that a plan in its upper half may be passed over.
    for (size_t stages = 1; stages < plan->stages.size(); ++stages) {
      CHECK(least_by_stages[stages] > least * (1 + ft::kPlanTolerance * 0.45));
    }
  }
  // Both kinds are common, so that both are tested.
  CHECK(feasible > 300);
  CHECK(refused > 100);
}

TEST_CASE("planner: the same request gives the same plan, permuted devices the same time") {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    ft::PlanRequest request = ft::test::random_request(seed, {.devices_max = 6, .layers_max = 20});
    const auto plan = ft::make_plan(request);
    const auto again = ft::make_plan(request);
    REQUIRE(again.ok() == plan.ok());
    if (!plan.ok()) {
      CHECK(plan.status().message() == again.status().message());
      continue;
    }
    CHECK(ft::test::text_of(*plan) == ft::test::text_of(*again));
    CHECK(plan->batch_us == again->batch_us);
    // Central stays: its place is no matter of numbering.
    std::vector<int> order(request.devices.size());
    std::iota(order.begin(), order.end(), 0);
    std::reverse(order.begin() + 1, order.end());
    const auto other = ft::make_plan(ft::test::permuted(request, order));
    REQUIRE(other.ok());
    CHECK(other->batch_us == doctest::Approx(plan->batch_us).epsilon(ft::kPlanTolerance));
    CHECK(other->stages.size() == plan->stages.size());
  }
}

TEST_CASE("planner: beyond the exact size a plan keeps all limits and beats every single device" *
          doctest::test_suite("long")) {
  int feasible = 0;
  for (uint64_t seed = 0; seed < 120; ++seed) {
    CAPTURE(seed);
    const ft::PlanRequest request =
        ft::test::random_request(seed, {.devices_max = 20, .layers_max = 300});
    const auto plan = ft::make_plan(request);
    double single_us = std::numeric_limits<double>::infinity();
    const int layers = static_cast<int>(request.layers.size());
    for (int device = 0; device < static_cast<int>(request.devices.size()); ++device) {
      if (!ft::test::allowed(request, {device}, {{0, layers}})) continue;
      const double us = ft::test::cost_by_definition(request, {device}, {{0, layers}});
      single_us = std::min(single_us, us);
    }
    if (!plan.ok()) {
      CHECK(std::isinf(single_us));
      continue;
    }
    ++feasible;
    check_plan(request, *plan);
    CHECK(plan->batch_us <= single_us * (1 + ft::kPlanTolerance));
  }
  CHECK(feasible > 60);
}

TEST_CASE("planner: many layers cost no more than the coarse ones that they are searched as") {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    CAPTURE(seed);
    const auto request = ft::test::large_request(seed, 4, 400, seed % 2 == 1);
    const auto plan = ft::make_plan(request);
    const ft::PlanRequest coarse_request = ft::coarse_layers(request, ft::kExactLayers);
    CHECK(static_cast<int>(coarse_request.layers.size()) <= ft::kExactLayers);
    const auto coarse = ft::make_plan(coarse_request);
    REQUIRE(plan.ok());
    REQUIRE(coarse.ok());
    check_plan(request, *plan);
    check_plan(coarse_request, *coarse);
    CHECK(plan->batch_us <= coarse->batch_us * (1 + ft::kPlanTolerance));
  }
}
