#pragma once

// Loops over many elements in the pool, cut into chunks of a fixed size: the cut depends on the
// count alone, never on the number of threads.

#include <algorithm>
#include <cstdint>

#include "kernels/thread_pool.h"

namespace ft {

// 64 KiB of float32 per array: long enough to pay for a task, short enough to stay in L2 with its
// neighbours.
constexpr int64_t kElementsPerTask = 16 * 1024;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Calls fn(first, last) for consecutive ranges that cover [0, count).
template <typename Function>
void parallel_for_elements(ThreadPool* pool, int64_t count, const Function& fn) {
  pool->run(ceil_div(count, kElementsPerTask), [&](int64_t task) {
    const int64_t first = task * kElementsPerTask;
    fn(first, std::min(count, first + kElementsPerTask));
  });
}

// Calls fn(row) for rows of `row_elements` elements, several short rows to a task.
template <typename Function>
void parallel_for_rows(ThreadPool* pool, int64_t rows, int64_t row_elements, const Function& fn) {
  const int64_t rows_per_task =
      std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, row_elements));
  pool->run(ceil_div(rows, rows_per_task), [&](int64_t task) {
    const int64_t last = std::min(rows, (task + 1) * rows_per_task);
    for (int64_t row = task * rows_per_task; row < last; ++row) fn(row);
  });
}

}  // namespace ft
