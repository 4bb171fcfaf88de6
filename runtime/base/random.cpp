#include "runtime/base/random.h"

#include <algorithm>

namespace ft {
namespace {

constexpr uint32_t kMultiplierA = 0xD2511F53;
constexpr uint32_t kMultiplierB = 0xCD9E8D57;
constexpr uint32_t kWeylA = 0x9E3779B9;
constexpr uint32_t kWeylB = 0xBB67AE85;
constexpr int kRounds = 10;

// SplitMix64's finaliser: spreads (seed, purpose, stream) over the 64-bit Philox key.
uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// One word of every counter: lanes that the compiler makes vectors of.
constexpr size_t kLanes = 16;

// The counters (low + lane, high) under a key.
template <size_t Lanes>
void philox(uint64_t key, uint64_t high, uint64_t low, std::array<uint32_t, Lanes>* c) {
  for (size_t i = 0; i < Lanes; ++i) {
    const uint64_t counter = low + i;
    c[0][i] = static_cast<uint32_t>(counter);
    c[1][i] = static_cast<uint32_t>(counter >> 32);
    c[2][i] = static_cast<uint32_t>(high);
    c[3][i] = static_cast<uint32_t>(high >> 32);
  }
  auto k0 = static_cast<uint32_t>(key);
  auto k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < Lanes; ++i) {
      const uint64_t a = static_cast<uint64_t>(kMultiplierA) * c[0][i];
      const uint64_t b = static_cast<uint64_t>(kMultiplierB) * c[2][i];
      c[0][i] = static_cast<uint32_t>(b >> 32) ^ c[1][i] ^ k0;
      c[1][i] = static_cast<uint32_t>(b);
      c[2][i] = static_cast<uint32_t>(a >> 32) ^ c[3][i] ^ k1;
      c[3][i] = static_cast<uint32_t>(a);
    }
    k0 += kWeylA;
    k1 += kWeylB;
  }
}

uint64_t philox_key(const RandomKey& key) {
  return mix(key.seed ^ mix((static_cast<uint64_t>(key.purpose) << 32) | key.stream));
}

}  // namespace

std::array<uint32_t, 4> random_block(const RandomKey& key, uint64_t counter_high,
                                     uint64_t counter_low) {
  std::array<uint32_t, 1> words[4];
  philox<1>(philox_key(key), counter_high, counter_low, words);
  return {words[0][0], words[1][0], words[2][0], words[3][0]};
}

void random_blocks(const RandomKey& key, uint64_t counter_high, uint64_t counter_low, int64_t count,
                   uint32_t* out) {
  const uint64_t mixed = philox_key(key);
  std::array<uint32_t, kLanes> words[4];
  for (int64_t first = 0; first < count; first += static_cast<int64_t>(kLanes)) {
    philox<kLanes>(mixed, counter_high, counter_low + static_cast<uint64_t>(first), words);
    const int64_t lanes = std::min<int64_t>(kLanes, count - first);
    for (int64_t i = 0; i < lanes; ++i) {
      for (size_t word = 0; word < 4; ++word) *out++ = words[word][static_cast<size_t>(i)];
    }
  }
}

}  // namespace ft
