#pragma once

// Dice: the fuzzer's one source of chance. Each purpose draws from a stream of its own, so that
// drawing more for one changes nothing for the others.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/base/random.h"

namespace ft::fuzz {

enum class Stream : uint32_t { kGraph = 200, kRuns = 201, kValues = 202, kNoise = 203 };

class Dice {
 public:
  Dice(uint64_t seed, Stream stream, uint64_t part = 0)
      : key_{seed, RandomPurpose::kSynthetic, static_cast<uint32_t>(stream)}, part_(part) {}

  uint64_t bits() {
    const auto block = random_block(key_, part_, draws_++);
    return (static_cast<uint64_t>(block[0]) << 32) | block[1];
  }
  // From 0 to bound - 1. REQUIRES: bound > 0.
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(uniform_below(bits(), static_cast<uint64_t>(bound)));
  }
  // Both ends included.
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  bool chance(int percent) { return below(100) < percent; }
  float uniform(float low, float high) {
    return low + (high - low) * uniform_float(static_cast<uint32_t>(bits() >> 32));
  }
  template <typename T>
  T of(const std::vector<T>& list) {
    return list[static_cast<size_t>(below(static_cast<int64_t>(list.size())))];
  }

 private:
  RandomKey key_;
  uint64_t part_ = 0;
  uint64_t draws_ = 0;
};

}  // namespace ft::fuzz
