#pragma once

// Part of loop_bodies.h: Philox4x32-10 (runtime/base/random.h), a block to each lane of 64 bits.
// The upper halves hold rubbish until the end: products read the lower ones only.

#include "kernels/simd/loops.h"
#include "kernels/simd/vector.h"

namespace ft {
namespace {

constexpr int64_t kPhiloxNumbers = 4 * kLongLanes;

// The numbers of kLongLanes blocks from counter `low` on.
FT_INLINE void philox_numbers(const RandomStart& start, uint64_t low, float* out) {
  LongVec c0;
  for (int64_t i = 0; i < kLongLanes; ++i) c0[i] = low + static_cast<uint64_t>(i);
  LongVec c1 = c0 >> 32;
  LongVec c2 = LongVec{} + start.high;
  LongVec c3 = c2 >> 32;
  auto k0 = static_cast<uint32_t>(start.key);
  auto k1 = static_cast<uint32_t>(start.key >> 32);
  for (int round = 0; round < 10; ++round) {
    const LongVec a = multiply_halves(c0, 0xD2511F53);
    const LongVec b = multiply_halves(c2, 0xCD9E8D57);
    c0 = (b >> 32) ^ c1 ^ k0;
    c1 = b;
    c2 = (a >> 32) ^ c3 ^ k1;
    c3 = a;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  for (int64_t i = 0; i < kLongLanes; ++i) {
    const uint64_t words[4] = {c0[i], c1[i], c2[i], c3[i]};
    for (int64_t word = 0; word < 4; ++word) {
      const auto bits = static_cast<uint32_t>(words[word]);
      out[4 * i + word] = static_cast<float>(bits >> 8) * 0x1p-24F;
    }
  }
}

void uniform_numbers(RandomStart start, float* out, int64_t n) {
  uint64_t low = start.low;
  int64_t i = 0;
  for (; i + kPhiloxNumbers <= n; i += kPhiloxNumbers, low += kLongLanes) {
    philox_numbers(start, low, out + i);
  }
  float tail[kPhiloxNumbers];
  philox_numbers(start, low, tail);
  for (int64_t j = 0; i + j < n; ++j) out[i + j] = tail[j];
}

}  // namespace
}  // namespace ft
