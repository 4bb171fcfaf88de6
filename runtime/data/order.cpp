#include "runtime/data/order.h"

#include <cstddef>
#include <numeric>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace ft {

std::vector<int64_t> epoch_order(uint64_t seed, int64_t epoch, int64_t count, bool shuffle) {
  FT_CHECK(epoch >= 0 && count >= 0 && count < (int64_t{1} << 32));
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (!shuffle) return order;
  const RandomKey key = {seed, RandomPurpose::kShuffle, 0};
  for (int64_t i = count - 1; i > 0; --i) {
    // A block of 128 bits serves two steps.
    const auto block =
        random_block(key, static_cast<uint64_t>(epoch), static_cast<uint64_t>(i / 2));
    const size_t word = i % 2 == 0 ? 0 : 2;
    const uint64_t bits = block[word] | (static_cast<uint64_t>(block[word + 1]) << 32);
    const uint64_t j = uniform_below(bits, static_cast<uint64_t>(i) + 1);
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(j)]);
  }
  return order;
}

}  // namespace ft
