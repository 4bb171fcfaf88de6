#include "partition/plan.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <functional>

#include "runtime/base/random.h"

namespace {

double slowest(const std::vector<double>& costs, const std::vector<double>& capacities,
               const std::vector<ft::LayerRange>& ranges) {
  double time = 0;
  for (size_t d = 0; d < ranges.size(); ++d) {
    double sum = 0;
    for (int l = ranges[d].first; l < ranges[d].last; ++l) sum += costs[static_cast<size_t>(l)];
    time = std::max(time, sum / capacities[d]);
  }
  return time;
}

// The best bottleneck over all ways to cut.
double brute_force(const std::vector<double>& costs, const std::vector<double>& capacities) {
  double best = 1e300;
  std::vector<ft::LayerRange> ranges;
  const std::function<void(int, size_t)> place = [&](int first, size_t device) {
    const int layers = static_cast<int>(costs.size());
    if (device + 1 == capacities.size()) {
      ranges.push_back({first, layers});
      best = std::min(best, slowest(costs, capacities, ranges));
      ranges.pop_back();
      return;
    }
    const int left = static_cast<int>(capacities.size() - device) - 1;
    for (int last = first + 1; last <= layers - left; ++last) {
      ranges.push_back({first, last});
      place(last, device + 1);
      ranges.pop_back();
    }
  };
  place(0, 0);
  return best;
}

}  // namespace

TEST_CASE("plan: as good as brute force, for unequal layers and devices") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    const auto draw = [seed](uint64_t n) {
      return ft::random_block({seed, ft::RandomPurpose::kSynthetic, 3}, 0, n)[0];
    };
    std::vector<double> costs(3 + draw(0) % 7);
    for (size_t i = 0; i < costs.size(); ++i) costs[i] = 1 + draw(10 + i) % 20;
    std::vector<double> capacities(1 + draw(1) % std::min<size_t>(costs.size(), 4));
    for (size_t i = 0; i < capacities.size(); ++i) capacities[i] = 0.1 + draw(30 + i) % 10 / 10.0;
    const auto ranges = ft::plan_ranges(costs, capacities);
    REQUIRE(ranges.size() == capacities.size());
    int next = 0;
    for (const auto& range : ranges) {
      CHECK(range.first == next);
      CHECK(range.last > range.first);
      next = range.last;
    }
    CHECK(next == static_cast<int>(costs.size()));
    CHECK(slowest(costs, capacities, ranges) == doctest::Approx(brute_force(costs, capacities)));
  }
}

TEST_CASE("plan: devices beyond the number of layers get none") {
  CHECK(ft::plan_ranges({1, 1}, {1, 1, 1, 1}).size() == 2);
}

TEST_CASE("plan: fixed cuts are read or refused by name") {
  const auto ranges = ft::ranges_from_cuts("3,9", 12);
  REQUIRE(ranges.ok());
  REQUIRE(ranges->size() == 3);
  CHECK((*ranges)[1] == ft::LayerRange{3, 9});
  CHECK((*ranges)[2] == ft::LayerRange{9, 12});
  for (const char* wrong : {"", "0", "12", "3,3", "9,3", "a", "3,", "-1", "3;9", "99999999999"}) {
    const auto refused = ft::ranges_from_cuts(wrong, 12);
    CAPTURE(wrong);
    REQUIRE(!refused.ok());
    CHECK(refused.status().code() == ft::StatusCode::kInvalid);
    CHECK(refused.status().message().find("fixed:") != std::string::npos);
  }
}
