#pragma once

// Sums over some axes of a row-major tensor whose elements are computed on the fly:
//   out[k] = sum over s of term(k, s),  k over the kept axes, s over the summed ones.
// A row is a run along the last axis. The order of additions is fixed by the shape: single
// precision over a chunk, double precision over the chunks.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/merged_axes.h"
#include "kernels/parallel.h"
#include "kernels/simd/loops.h"

namespace ft {

class Reduction {
 public:
  // kept[i] says whether axis i stays. REQUIRES: as many as axes.
  Reduction(const MergedAxes& axes, const std::vector<bool>& kept);

  // term(row, column, count, buffer) writes the terms of elements [column, column + count) of row
  // `row` to the buffer; any thread may call it.
  template <typename Term>
  void run(ThreadPool* pool, const Term& term, float* out) const {
    if (keeps_last_) {
      run_columns(pool, term, out);
    } else {
      run_rows(pool, term, out);
    }
  }

 private:
  static constexpr int64_t kChunk = 1024;   // terms of a row at once
  static constexpr int64_t kColumns = 256;  // kept columns of a task
  static constexpr int64_t kRows = 32;      // added in single precision

  struct Axis {
    int64_t dim = 0;
    int64_t stride = 0;  // in rows
  };

  static int64_t count_of(const std::vector<Axis>& axes);
  static int64_t row_of(const std::vector<Axis>& axes, int64_t index);

  // The last axis is summed: one number per kept index.
  template <typename Term>
  void run_rows(ThreadPool* pool, const Term& term, float* out) const {
    parallel_for_rows(pool, kept_count_, summed_count_ * row_length_, [&](int64_t k) {
      const int64_t first_row = row_of(kept_, k);
      double total = 0;
      float buffer[kChunk];
      for (int64_t s = 0; s < summed_count_; ++s) {
        const int64_t row = first_row + row_of(summed_, s);
        for (int64_t column = 0; column < row_length_; column += kChunk) {
          const int64_t count = std::min(kChunk, row_length_ - column);
          term(row, column, count, buffer);
          total += loops::sum(buffer, count);
        }
      }
      out[k] = static_cast<float>(total);
    });
  }

  // The last axis is kept: rows are added to each other, some columns to a task.
  template <typename Term>
  void run_columns(ThreadPool* pool, const Term& term, float* out) const {
    const int64_t tiles = ceil_div(row_length_, kColumns);
    const int64_t task_elements = summed_count_ * std::min(kColumns, row_length_);
    parallel_for_rows(pool, kept_count_ * tiles, task_elements, [&](int64_t task) {
      const int64_t k = task / tiles;
      const int64_t column = task % tiles * kColumns;
      const int64_t count = std::min(kColumns, row_length_ - column);
      const int64_t first_row = row_of(kept_, k);
      double totals[kColumns] = {};
      float part[kColumns];
      float buffer[kColumns];
      for (int64_t s = 0; s < summed_count_; ++s) {
        const bool is_first = s % kRows == 0;
        term(first_row + row_of(summed_, s), column, count, is_first ? part : buffer);
        if (!is_first) loops::accumulate(buffer, part, count);
        if (s % kRows == kRows - 1 || s == summed_count_ - 1) {
          for (int64_t i = 0; i < count; ++i) totals[i] += part[i];
        }
      }
      float* const target = out + k * row_length_ + column;
      for (int64_t i = 0; i < count; ++i) target[i] = static_cast<float>(totals[i]);
    });
  }

  std::vector<Axis> kept_;  // without the last axis
  std::vector<Axis> summed_;
  int64_t kept_count_ = 1;
  int64_t summed_count_ = 1;
  int64_t row_length_ = 1;
  bool keeps_last_ = false;
};

}  // namespace ft
