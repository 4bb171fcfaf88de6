#include "runtime/base/random.h"

#include <bit>
#include <cmath>
#include <doctest/doctest.h>
#include <set>
#include <vector>

namespace ft {

// From a Python program of its own, whose Philox4x32-10 gives Random123's known answers for zero
// and all-ones keys and counters.
TEST_CASE("random: the values of a key and a counter stay") {
  using Block = std::array<uint32_t, 4>;
  constexpr uint64_t kMax = ~uint64_t{0};
  CHECK(random_block({0, RandomPurpose::kShuffle, 0}, 0, 0) ==
        Block{0xA99E870B, 0x9EC77EAF, 0x96673776, 0xF9E6DC33});
  CHECK(random_block({42, RandomPurpose::kDropout, 7}, 3, 5) ==
        Block{0x96678A6D, 0x72957CEC, 0xE75B1622, 0x51208453});
  CHECK(random_block({kMax, RandomPurpose::kSynthetic, 0xFFFFFFFF}, kMax, kMax - 1) ==
        Block{0x066FEAAC, 0x1B8AAED2, 0x6F17CFEF, 0x2E9D2D4B});
}

TEST_CASE("random: a pure function in which every input counts") {
  const RandomKey key = {1, RandomPurpose::kDropout, 2};
  const auto block = random_block(key, 3, 4);
  CHECK(block == random_block(key, 3, 4));
  CHECK(block != random_block({9, RandomPurpose::kDropout, 2}, 3, 4));
  CHECK(block != random_block({1, RandomPurpose::kShuffle, 2}, 3, 4));
  CHECK(block != random_block({1, RandomPurpose::kDropout, 9}, 3, 4));
  CHECK(block != random_block(key, 9, 4));
  CHECK(block != random_block(key, 3, 9));
  CHECK(block != random_block(key, 4, 3));
  CHECK(block != random_block(key, 3 + (uint64_t{1} << 32), 4));
  CHECK(block != random_block(key, 3, 4 + (uint64_t{1} << 32)));
}

TEST_CASE("random: neighbouring keys and counters share no block") {
  std::set<std::array<uint32_t, 4>> seen;
  size_t count = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    for (uint32_t purpose = 1; purpose <= 4; ++purpose) {
      for (uint32_t stream = 0; stream < 10; ++stream) {
        for (uint64_t counter = 0; counter < 10; ++counter, ++count) {
          seen.insert(
              random_block({seed, static_cast<RandomPurpose>(purpose), stream}, 0, counter));
        }
      }
    }
  }
  CHECK(seen.size() == count);
}

// Bounds are five standard deviations of what fair bits give.
TEST_CASE("random: bits are fair, and a changed counter bit changes half of them") {
  const RandomKey key = {7, RandomPurpose::kDropout, 0};
  constexpr int kBlocks = 20000;
  std::array<int, 128> ones{};
  double flips = 0;
  for (uint64_t i = 0; i < kBlocks; ++i) {
    const auto block = random_block(key, 0, i);
    const auto neighbour = random_block(key, 0, i ^ (uint64_t{1} << (i % 64)));
    for (size_t bit = 0; bit < 128; ++bit) ones[bit] += (block[bit / 32] >> (bit % 32)) & 1;
    for (size_t word = 0; word < 4; ++word) flips += std::popcount(block[word] ^ neighbour[word]);
  }
  for (const int count : ones) CHECK(std::abs(count - kBlocks / 2) < 5 * std::sqrt(kBlocks / 4.0));
  CHECK(std::abs(flips - 64.0 * kBlocks) < 5 * std::sqrt(32.0 * kBlocks));
}

TEST_CASE("random: uniform_float is uniform in [0, 1)") {
  CHECK(uniform_float(0) == 0);
  CHECK(uniform_float(0xFFFFFFFF) < 1);
  constexpr int kCount = 100000;
  std::vector<int> bins(10, 0);
  for (uint64_t i = 0; i < kCount / 4; ++i) {
    for (const uint32_t bits : random_block({3, RandomPurpose::kAugment, 0}, i, 0)) {
      ++bins[static_cast<size_t>(uniform_float(bits) * 10)];
    }
  }
  for (const int count : bins) CHECK(std::abs(count - kCount / 10) < 5 * std::sqrt(kCount * 0.09));
}

TEST_CASE("random: uniform_below stays below, and reaches both ends") {
  CHECK(uniform_below(0, 7) == 0);
  CHECK(uniform_below(~uint64_t{0}, 7) == 6);
  CHECK(uniform_below(~uint64_t{0}, 1) == 0);
  CHECK(uniform_below(uint64_t{1} << 63, uint64_t{1} << 32) == uint64_t{1} << 31);
}

}  // namespace ft
