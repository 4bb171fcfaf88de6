#pragma once

// The arguments of one call of a loop of loops.h, drawn from its parameters' types, so that tests
// and benchmarks of every loop need no line for each.

#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/simd/loops.h"
#include "tests/kernels/op_case.h"

namespace ft {

class LoopArguments {
 public:
  static constexpr int64_t kGuard = 64;  // floats before and after each array

  static constexpr int64_t kPeriod = 8192;  // random numbers repeat, as drawing them takes time

  // Arrays of size_max elements, of which a call is to use `size`.
  LoopArguments(uint64_t seed, int64_t size, int64_t size_max)
      : seed_(seed), size_(size), size_max_(size_max) {
    arrays_.reserve(8);
    // Two images of 5 x 7, or 16 groups: masks that hide, shifts to both sides, 10 taps (a whole
    // pass and one more).
    const int64_t period = 48;
    plan_.period = period;
    plan_.groups = size_ / period;
    plan_.taps = 10;
    for (int64_t tap = 0; tap < plan_.taps; ++tap) {
      shifts_.push_back(tap * 5 - 25);
      for (int64_t i = 0; i < period; ++i) masks_.push_back((i + tap) % 7 == 0 ? 0 : -1);
    }
    plan_.masks = masks_.data();
    plan_.shifts = shifts_.data();
  }

  // The next argument: a const float* is an array of random numbers, a float* one that the loop may
  // write, an int64_t the count.
  template <typename T>
  T make() {
    if constexpr (std::is_same_v<T, int64_t>) {
      return size_;
    } else if constexpr (std::is_same_v<T, float>) {
      return random_floats(seed_, 50 + stream_++, 1, 0.1F, 1)[0];
    } else if constexpr (std::is_same_v<T, SgdFactors>) {
      return {.learning_rate = 0.1F,
              .momentum = 0.9F,
              .weight_decay = 0.01F,
              .nesterov = seed_ % 2 == 0};
    } else if constexpr (std::is_same_v<T, RandomStart>) {
      return {.key = seed_ * 0x123456789ABCDEF, .high = ~seed_, .low = 0xFFFFFFFD - seed_};
    } else if constexpr (std::is_same_v<T, PairRows>) {
      // Rows shorter than a vector, and gaps that must survive.
      return {.rows = size_ / 80, .count = size_ % 74, .paired_step = 76, .split_step = 39};
    } else if constexpr (std::is_same_v<T, CopyRows>) {
      return {.rows = size_ / 80, .count = size_ % 37, .from_step = 41, .to_step = 39};
    } else if constexpr (std::is_same_v<T, GemmTile>) {
      return {.depth = size_ / kGemmTileColumns, .c_step = 19, .accumulates = seed_ % 2 == 0};
    } else if constexpr (std::is_same_v<T, const FirPlan*>) {
      return &plan_;
    } else if constexpr (std::is_same_v<T, const ShiftedProduct*>) {
      product_ = {.rows = 1 + size_ % kShiftedRows,
                  .columns = size_ / 8 / kShiftedColumns * kShiftedColumns,
                  .depth = plan_.taps,
                  .c_step = size_ / 7,
                  .shifts = shifts_.data(),
                  .bias = seed_ % 2 == 0 ? nullptr : kBias};
      return &product_;
    } else if constexpr (std::is_same_v<T, const ShiftedSums*>) {
      sums_ = {.rows = 1 + size_ % kShiftedSumRows,
               .columns = size_ / 4 / kShiftedColumns * kShiftedColumns,
               .depth = 1 + size_ / kShiftedSumRows % kShiftedSumDepth,
               .a_step = size_ / 3,
               .shifts = shifts_.data()};
      return &sums_;
    } else if constexpr (std::is_same_v<T, const ShiftedMax*>) {
      max_ = {.columns = size_ / kShiftedColumns * kShiftedColumns,
              .depth = 1 + size_ % plan_.taps,
              .shifts = shifts_.data()};
      return &max_;
    } else if constexpr (std::is_same_v<T, const ShiftedMarks*>) {
      marks_ = {.columns = size_ / kShiftedColumns * kShiftedColumns,
                .depth = size_ % (plan_.taps + 1),
                .shifts = shifts_.data(),
                .marks = kMarks};
      return &marks_;
    } else {
      static_assert(std::is_same_v<std::remove_const_t<std::remove_pointer_t<T>>, float>,
                    "tell LoopArguments how to make this parameter");
      std::vector<float> values = random_floats(seed_, stream_++, kPeriod, -1, 1);
      values.resize(static_cast<size_t>(size_max_ + 2 * kGuard));
      for (size_t i = kPeriod; i < values.size(); ++i) values[i] = values[i - kPeriod];
      arrays_.push_back(std::move(values));
      return arrays_.back().data() + kGuard;
    }
  }

  // In the order of the parameters, guards included.
  const std::vector<std::vector<float>>& arrays() const { return arrays_; }

 private:
  static constexpr float kBias[kShiftedRows] = {0.5F, -0.25F, 0, 2, -1, 0.75F};
  static constexpr float kMarks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

  uint64_t seed_;
  int64_t size_;
  int64_t size_max_;
  uint32_t stream_ = 0;
  FirPlan plan_;
  ShiftedProduct product_;
  ShiftedSums sums_;
  ShiftedMax max_;
  ShiftedMarks marks_;
  std::vector<int32_t> masks_;
  std::vector<int64_t> shifts_;
  std::vector<std::vector<float>> arrays_;
};

}  // namespace ft
