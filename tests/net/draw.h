#pragma once

// Seeded draws for tests: the same seed gives the same test.

#include "runtime/base/random.h"

namespace ft {

class Draw {
 public:
  explicit Draw(uint64_t seed) : key_{seed, RandomPurpose::kSynthetic, 0} {}

  uint64_t bits() {
    const auto block = random_block(key_, 0, counter_++);
    return (static_cast<uint64_t>(block[0]) << 32) | block[1];
  }
  // Uniform in [0, bound).
  uint64_t below(uint64_t bound) { return uniform_below(bits(), bound); }
  bool chance(int percent) { return below(100) < static_cast<uint64_t>(percent); }

 private:
  RandomKey key_;
  uint64_t counter_ = 0;
};

}  // namespace ft
