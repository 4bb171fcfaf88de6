#include "runtime/exec/arena_planner.h"

#include <algorithm>
#include <numeric>

#include "runtime/base/buffer.h"
#include "runtime/base/check.h"

namespace ft {

int ArenaPlanner::request(int64_t bytes, int first, int last) {
  FT_CHECK(bytes >= 0 && first <= last);
  const int64_t alignment = static_cast<int64_t>(kBufferAlignment);
  requests_.push_back({(bytes + alignment - 1) / alignment * alignment, first, last, 0});
  return static_cast<int>(requests_.size()) - 1;
}

void ArenaPlanner::place() {
  std::vector<size_t> order(requests_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [this](size_t a, size_t b) { return requests_[a].bytes > requests_[b].bytes; });
  std::vector<size_t> placed;  // by offset
  for (const size_t index : order) {
    Request& request = requests_[index];
    int64_t offset = 0;
    for (const size_t other_index : placed) {
      const Request& other = requests_[other_index];
      if (other.last < request.first || request.last < other.first) continue;
      if (offset + request.bytes <= other.offset) break;
      offset = std::max(offset, other.offset + other.bytes);
    }
    request.offset = offset;
    total_bytes_ = std::max(total_bytes_, offset + request.bytes);
    const auto position = std::upper_bound(
        placed.begin(), placed.end(), index,
        [this](size_t a, size_t b) { return requests_[a].offset < requests_[b].offset; });
    placed.insert(position, index);
  }
}

}  // namespace ft
