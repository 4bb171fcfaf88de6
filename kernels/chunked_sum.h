#pragma once

// Sums over long rows: single precision inside a chunk (several lanes, loops.h), double precision
// over the chunks, always in the same order. The error stays that of a chunk, however long the row.

#include <algorithm>
#include <cstdint>

#include "kernels/simd/loops.h"

namespace ft {

// 16 KiB: a chunk that is read twice comes from L1 the second time.
constexpr int64_t kSumChunkElements = 4096;

// Calls fn(first, count) for the chunks of [0, n), in order.
template <typename Function>
void for_sum_chunks(int64_t n, const Function& fn) {
  for (int64_t first = 0; first < n; first += kSumChunkElements) {
    fn(first, std::min(kSumChunkElements, n - first));
  }
}

inline double chunked_sum(const float* x, int64_t n) {
  double total = 0;
  for_sum_chunks(n, [&](int64_t first, int64_t count) { total += loops::sum(x + first, count); });
  return total;
}

}  // namespace ft
