#pragma once

// Dice: the one source of chance in the simulator. Each purpose draws from a stream of its own, so
// that drawing more for one changes nothing for the others.

#include <cstdint>

#include "runtime/base/clock.h"
#include "runtime/base/random.h"

namespace ft::sim {

enum class DiceStream : uint32_t { kSpec = 100, kFaults = 101, kNetwork = 102, kCompute = 103 };

class Dice {
 public:
  Dice(uint64_t seed, DiceStream stream)
      : key_{seed, RandomPurpose::kSynthetic, static_cast<uint32_t>(stream)} {}

  uint64_t bits() {
    const auto block = random_block(key_, 0, draws_++);
    return (static_cast<uint64_t>(block[0]) << 32) | block[1];
  }
  // From 0 to bound - 1. REQUIRES: bound > 0.
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(uniform_below(bits(), static_cast<uint64_t>(bound)));
  }
  // Both ends included.
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  bool chance(int percent) { return below(100) < percent; }

 private:
  RandomKey key_;
  uint64_t draws_ = 0;
};

}  // namespace ft::sim
