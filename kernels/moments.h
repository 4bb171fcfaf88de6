#pragma once

// Mean and variance of many numbers, for norms.

#include <algorithm>
#include <cstdint>

#include "kernels/chunked_sum.h"
#include "kernels/simd/loops.h"

namespace ft {

struct Moments {
  double mean = 0;
  double variance = 0;
};

// One pass over memory: each chunk's own moments while it is in L1, then combined after Chan, Golub
// and LeVeque, "Updating formulae and a pairwise algorithm" (1979), in double. A chunk is summed
// about its first, rounded mean, where the differences are small and their rounding does no harm.
inline Moments moments_of(const float* x, int64_t n) {
  double count = 0;
  double mean = 0;
  double squares = 0;
  for_sum_chunks(n, [&](int64_t first, int64_t length) {
    const auto chunk_count = static_cast<double>(length);
    const float center = loops::sum(x + first, length) / static_cast<float>(length);
    float sums[2];
    loops::centered_sums(x + first, center, sums, length);
    const double off_center = static_cast<double>(sums[0]) / chunk_count;
    const double chunk_squares =
        static_cast<double>(sums[1]) - chunk_count * off_center * off_center;
    const double delta = static_cast<double>(center) + off_center - mean;
    const double total = count + chunk_count;
    squares += chunk_squares + delta * delta * count * chunk_count / total;
    mean += delta * chunk_count / total;
    count = total;
  });
  return {mean, std::max(0.0, squares / count)};
}

}  // namespace ft
