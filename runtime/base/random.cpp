#include "runtime/base/random.h"

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

}  // namespace

uint64_t philox_key(const RandomKey& key) {
  return mix(key.seed ^ mix((static_cast<uint64_t>(key.purpose) << 32) | key.stream));
}

std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  std::array<uint32_t, 4> c = {
      static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
      static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  auto k0 = static_cast<uint32_t>(key);
  auto k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t a = static_cast<uint64_t>(kMultiplierA) * c[0];
    const uint64_t b = static_cast<uint64_t>(kMultiplierB) * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
    k0 += kWeylA;
    k1 += kWeylB;
  }
  return c;
}

std::array<uint32_t, 4> random_block(const RandomKey& key, uint64_t counter_high,
                                     uint64_t counter_low) {
  return philox(philox_key(key), counter_high, counter_low);
}

}  // namespace ft
