#include "runtime/exec/arena_planner.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <vector>

#include "runtime/base/random.h"

TEST_CASE("arena: blocks that live at the same time never overlap") {
  struct Block {
    int64_t bytes;
    int first;
    int last;
    int request;
  };
  for (uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    ft::ArenaPlanner arena;
    std::vector<Block> blocks;
    int64_t peak = 0;
    for (uint64_t i = 0; i < 60; ++i) {
      const auto bits = ft::random_block({seed, ft::RandomPurpose::kSynthetic, 0}, 0, i);
      const int first = static_cast<int>(bits[0] % 40);
      const int last = first + static_cast<int>(bits[1] % 12);
      const int64_t bytes = bits[2] % 5000;
      blocks.push_back({bytes, first, last, arena.request(bytes, first, last)});
    }
    arena.place();
    for (int step = 0; step < 60; ++step) {
      int64_t live = 0;
      for (const Block& block : blocks) {
        if (block.first <= step && step <= block.last) live += (block.bytes + 63) / 64 * 64;
      }
      peak = std::max(peak, live);
    }
    for (const Block& a : blocks) {
      CHECK(arena.offset(a.request) % 64 == 0);
      CHECK(arena.offset(a.request) + a.bytes <= arena.total_bytes());
      for (const Block& b : blocks) {
        if (a.request >= b.request || a.last < b.first || b.last < a.first) continue;
        const bool apart = arena.offset(a.request) + a.bytes <= arena.offset(b.request) ||
                           arena.offset(b.request) + b.bytes <= arena.offset(a.request);
        CHECK(apart);
      }
    }
    CHECK(arena.total_bytes() >= peak);
    CHECK(arena.total_bytes() <= 2 * peak);
  }
}
