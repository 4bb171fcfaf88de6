#pragma once

// Part of loop_bodies.h: loops that end in one number.

#include "kernels/simd/loops.h"
#include "kernels/simd/vector.h"

namespace ft {
namespace {

float sum(const float* x, int64_t n) {
  return sum_elements(
      n, [=](auto lanes, int64_t i, auto so_far) { return so_far + lanes.load(x + i); });
}

float dot(const float* a, const float* b, int64_t n) {
  return sum_elements(n, [=](auto lanes, int64_t i, auto so_far) {
    return lanes.fma(lanes.load(a + i), lanes.load(b + i), so_far);
  });
}

float max_element(const float* x, int64_t n) {
  Vec best = Wide::all(x[0]);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vec v = Wide::load(x + i);
    best = v > best ? v : best;
  }
  float result = best[0];
  for (int64_t lane = 1; lane < kLanes; ++lane) result = best[lane] > result ? best[lane] : result;
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// Adds term(lanes, i) and term * weight(lanes, i) up in one pass: these loops are bound by memory.
template <typename Term, typename Weight>
FT_INLINE void two_sums(int64_t n, float* sums, Term term, Weight weight) {
  Vec plain[2] = {};
  Vec weighted[2] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    for (int64_t j = 0; j < 2; ++j) {
      const Vec value = term(Wide(), i + j * kLanes);
      plain[j] += value;
      weighted[j] = Wide::fma(value, weight(Wide(), i + j * kLanes), weighted[j]);
    }
  }
  Single::V plain_tail = {};
  Single::V weighted_tail = {};
  for (; i < n; ++i) {
    const Single::V value = term(Single(), i);
    plain_tail += value;
    weighted_tail = Single::fma(value, weight(Single(), i), weighted_tail);
  }
  sums[0] = sum_of_lanes(plain[0] + plain[1]) + plain_tail[0];
  sums[1] = sum_of_lanes(weighted[0] + weighted[1]) + weighted_tail[0];
}

void centered_sums(const float* x, float center, float* sums, int64_t n) {
  const auto centered = [=](auto lanes, int64_t i) { return lanes.load(x + i) - center; };
  two_sums(n, sums, centered, centered);
}

void normalize_sums(const float* x, const float* dy, float mean, float* sums, int64_t n) {
  two_sums(
      n, sums, [=](auto lanes, int64_t i) { return lanes.load(dy + i); },
      [=](auto lanes, int64_t i) { return lanes.load(x + i) - mean; });
}

}  // namespace
}  // namespace ft
