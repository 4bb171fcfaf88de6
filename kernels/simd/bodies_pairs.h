#pragma once

// Part of loop_bodies.h: copying rows, and splitting and merging the two phases of a stride of 2.
//
// Rows of feature maps are short, often shorter than the widest vector. The rest of a row is one
// more vector that ends with it and does again what overlaps; a row shorter than a vector is done
// with vectors of half the width, down to one element.

#include "kernels/simd/loops.h"
#include "kernels/simd/vector.h"

namespace ft {
namespace {

template <int64_t lanes>
struct PairShuffle {
  using V = typename VectorOf<lanes>::Float;
  using Int = typename VectorOf<lanes>::Int;

  // Indices into the 2 * lanes elements of two vectors; constants once the loops are unrolled.
  FT_INLINE static Int every_second(int32_t first) {
    Int indices{};
    for (int32_t i = 0; i < lanes; ++i) indices[i] = 2 * i + first;
    return indices;
  }
  FT_INLINE static Int alternating(int32_t first) {
    Int indices{};
    for (int32_t i = 0; i < lanes; ++i) {
      indices[i] = first + i / 2 + (i % 2) * static_cast<int32_t>(lanes);
    }
    return indices;
  }

  FT_INLINE static void split(const float* x, float* first, float* second) {
    const V a = LanesOf<lanes>::load(x);
    const V b = LanesOf<lanes>::load(x + lanes);
    LanesOf<lanes>::store(first, __builtin_shuffle(a, b, every_second(0)));
    LanesOf<lanes>::store(second, __builtin_shuffle(a, b, every_second(1)));
  }
  FT_INLINE static void merge(const float* first, const float* second, float* x) {
    const V a = LanesOf<lanes>::load(first);
    const V b = LanesOf<lanes>::load(second);
    LanesOf<lanes>::store(x, __builtin_shuffle(a, b, alternating(0)));
    LanesOf<lanes>::store(x + lanes,
                          __builtin_shuffle(a, b, alternating(static_cast<int32_t>(lanes / 2))));
  }
};

template <>
struct PairShuffle<1> {
  FT_INLINE static void split(const float* x, float* first, float* second) {
    *first = x[0];
    *second = x[1];
  }
  FT_INLINE static void merge(const float* first, const float* second, float* x) {
    x[0] = *first;
    x[1] = *second;
  }
};

// Calls body.template operator()<width>(i) for i in [0, count), some of them twice.
template <int64_t lanes, typename Body>
FT_INLINE void for_overlapping(int64_t count, Body body) {
  if (count >= lanes) {
    int64_t i = 0;
    for (; i + lanes <= count; i += lanes) body.template operator()<lanes>(i);
    if (i < count) body.template operator()<lanes>(count - lanes);
  } else if constexpr (lanes > 1) {
    for_overlapping<lanes / 2>(count, body);
  }
}

void copy_rows(CopyRows rows, const float* x, float* out) {
  for (int64_t row = 0; row < rows.rows; ++row) {
    for_overlapping<kLanes>(rows.count, [=]<int64_t lanes>(int64_t i) {
      LanesOf<lanes>::store(out + i, LanesOf<lanes>::load(x + i));
    });
    x += rows.from_step;
    out += rows.to_step;
  }
}

void split_pairs(PairRows rows, const float* x, float* first, float* second) {
  for (int64_t row = 0; row < rows.rows; ++row) {
    for_overlapping<kLanes>(rows.count / 2, [=]<int64_t lanes>(int64_t i) {
      PairShuffle<lanes>::split(x + 2 * i, first + i, second + i);
    });
    if (rows.count % 2 == 1) first[rows.count / 2] = x[rows.count - 1];
    x += rows.paired_step;
    first += rows.split_step;
    second += rows.split_step;
  }
}

void merge_pairs(PairRows rows, const float* first, const float* second, float* x) {
  for (int64_t row = 0; row < rows.rows; ++row) {
    for_overlapping<kLanes>(rows.count / 2, [=]<int64_t lanes>(int64_t i) {
      PairShuffle<lanes>::merge(first + i, second + i, x + 2 * i);
    });
    if (rows.count % 2 == 1) x[rows.count - 1] = first[rows.count / 2];
    x += rows.paired_step;
    first += rows.split_step;
    second += rows.split_step;
  }
}

}  // namespace
}  // namespace ft
