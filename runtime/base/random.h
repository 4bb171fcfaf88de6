#pragma once

// Counter-based random numbers: a value is a pure function of a key and a counter, so that nothing
// depends on who drew before (DESIGN 3). Philox4x32-10 after Salmon et al., "Parallel Random
// Numbers: As Easy as 1, 2, 3" (SC'11).

#include <array>
#include <cstdint>

namespace ft {

// What a stream is for. Part of the key: two purposes never share numbers.
enum class RandomPurpose : uint32_t { kShuffle = 1, kDropout = 2, kAugment = 3, kSynthetic = 4 };

struct RandomKey {
  uint64_t seed = 0;
  RandomPurpose purpose = RandomPurpose::kShuffle;
  uint32_t stream = 0;  // node index, say
};

// Four independent 32-bit numbers for one 128-bit counter.
std::array<uint32_t, 4> random_block(const RandomKey& key, uint64_t counter_high,
                                     uint64_t counter_low);

// The same in two steps: loops::uniform_numbers draws many numbers under the mixed key.
uint64_t philox_key(const RandomKey& key);
std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_high, uint64_t counter_low);

// Uniform in [0, 1), 24 bits.
inline float uniform_float(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24F; }

// Uniform in [0, bound), without bias worth speaking of (64 random bits). REQUIRES: bound < 2^32.
inline uint64_t uniform_below(uint64_t bits, uint64_t bound) {
  // The upper half of the 128-bit product, which 32-bit compilers have no type for.
  return ((bits >> 32) * bound + (((bits & 0xFFFFFFFFU) * bound) >> 32)) >> 32;
}

}  // namespace ft
