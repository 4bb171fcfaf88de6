#include "partition/order.h"

#include <cstddef>

namespace ft {
namespace {

// Depth-first, in lexicographic order: the first row of a length that is found is the one to take.
struct Search {
  int count;
  const std::set<std::pair<int, int>>& unreachable;
  std::vector<bool> placed;
  std::vector<int> row;
  std::vector<int> best;
  int steps = 0;

  bool reaches(int a, int b) const {
    return a == 0 || b == 0 || unreachable.count(a < b ? std::pair(a, b) : std::pair(b, a)) == 0;
  }

  // Returns whether nothing better can be found.
  bool extend() {
    if (row.size() > best.size()) best = row;
    if (static_cast<int>(best.size()) == count || ++steps >= kOrderStepsMax) return true;
    for (int device = 1; device < count; ++device) {
      if (placed[static_cast<size_t>(device)] || !reaches(row.back(), device)) continue;
      placed[static_cast<size_t>(device)] = true;
      row.push_back(device);
      if (extend()) return true;
      row.pop_back();
      placed[static_cast<size_t>(device)] = false;
    }
    return false;
  }
};

}  // namespace

std::vector<int> order_devices(int count, const std::set<std::pair<int, int>>& unreachable) {
  Search search{count, unreachable, std::vector<bool>(static_cast<size_t>(count)), {0}, {}};
  search.placed[0] = true;
  search.extend();
  return search.best;
}

}  // namespace ft
