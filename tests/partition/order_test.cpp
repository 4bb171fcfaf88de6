// Devices that do not reach each other are never neighbours.

#include "partition/order.h"

#include <algorithm>
#include <doctest/doctest.h>

namespace {

using Pairs = std::set<std::pair<int, int>>;

bool is_row(const std::vector<int>& row, const Pairs& pairs) {
  for (size_t i = 1; i < row.size(); ++i) {
    if (pairs.count(std::minmax(row[i - 1], row[i])) != 0) return false;
  }
  return !row.empty() && row[0] == 0;
}

}  // namespace

TEST_CASE("order: without obstacles the order of joining") {
  CHECK(ft::order_devices(1, {}) == std::vector<int>{0});
  CHECK(ft::order_devices(4, {}) == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("order: a pair is kept apart by the nearest change") {
  CHECK(ft::order_devices(4, {{2, 3}}) == std::vector<int>{0, 2, 1, 3});
  CHECK(ft::order_devices(3, {{1, 2}}) == std::vector<int>{0, 1});  // both beside central: no row
}

TEST_CASE("order: as many devices as possible, over every set of pairs of five") {
  for (int bits = 0; bits < 1 << 6; ++bits) {
    Pairs pairs;
    int index = 0;
    for (int a = 1; a < 5; ++a) {
      for (int b = a + 1; b < 5; ++b, ++index) {
        if ((bits >> index & 1) != 0) pairs.emplace(a, b);
      }
    }
    const std::vector<int> row = ft::order_devices(5, pairs);
    CHECK(is_row(row, pairs));
    // By brute force: no row is longer.
    std::vector<int> others{1, 2, 3, 4};
    size_t longest = 1;
    do {
      std::vector<int> other{0};
      for (const int device : others) {
        other.push_back(device);
        if (!is_row(other, pairs)) break;
        longest = std::max(longest, other.size());
      }
    } while (std::next_permutation(others.begin(), others.end()));
    CHECK(row.size() == longest);
  }
}
