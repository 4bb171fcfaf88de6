#pragma once

// One vector of FT_SIMD_LANES floats in GCC's vector extensions, for loop_bodies.h alone.
//
// The build keeps -ffp-contract=off, so a multiply and an add fuse only where fma() says so; tables
// without the instruction compute it in two roundings.
//
// Everything is in an unnamed namespace: were one of these inline functions shared between files,
// the linker could pick the AVX-512 copy for a machine that has none. immintrin.h and arm_neon.h
// hold nothing but functions that are always inlined.

#include <stdint.h>

#if defined(__x86_64__) && FT_SIMD_LANES >= 4
#include <immintrin.h>
#elif defined(__ARM_NEON) && FT_SIMD_LANES == 4
#include <arm_neon.h>
#endif

#define FT_INLINE [[gnu::always_inline]] inline

namespace ft {
namespace {

constexpr int64_t kLanes = FT_SIMD_LANES;

template <int64_t count>
struct VectorOf {
  typedef float Float __attribute__((vector_size(count * 4)));
  typedef int32_t Int __attribute__((vector_size(count * 4)));
  typedef float FloatInMemory __attribute__((vector_size(count * 4), aligned(4), may_alias));
  typedef int32_t IntInMemory __attribute__((vector_size(count * 4), aligned(4), may_alias));
};

using Vec = VectorOf<kLanes>::Float;
using IntVec = VectorOf<kLanes>::Int;

// The operations of a loop body, on a whole vector or on one element of the tail.
template <int64_t count>
struct LanesOf {
  using V = typename VectorOf<count>::Float;

  FT_INLINE static V load(const float* p) {
    return *reinterpret_cast<const typename VectorOf<count>::FloatInMemory*>(p);
  }
  FT_INLINE static void store(float* p, V v) {
    *reinterpret_cast<typename VectorOf<count>::FloatInMemory*>(p) = v;
  }
  FT_INLINE static V all(float s) { return s - V{}; }  // an addition would be made: -0 + 0 = 0
  // *p in every lane; one instruction, where GCC makes two of all(*p).
  FT_INLINE static V all_at(const float* p) {
#if defined(__ARM_NEON) && FT_SIMD_LANES == 4
    if constexpr (count == 4) return vld1q_dup_f32(p);
#endif
    return all(*p);
  }
  FT_INLINE static V fma(V a, V b, V c) {
#if defined(__FMA__) && FT_SIMD_LANES == 16
    if constexpr (count == 16) return _mm512_fmadd_ps(a, b, c);
    if constexpr (count == 1) return V{__builtin_fmaf(a[0], b[0], c[0])};
#elif defined(__FMA__) && FT_SIMD_LANES == 8
    if constexpr (count == 8) return _mm256_fmadd_ps(a, b, c);
    if constexpr (count == 1) return V{__builtin_fmaf(a[0], b[0], c[0])};
#elif defined(__ARM_NEON) && FT_SIMD_LANES == 4
    if constexpr (count == 4) return vfmaq_f32(c, a, b);
    if constexpr (count == 1) return V{__builtin_fmaf(a[0], b[0], c[0])};
#else
    return a * b + c;
#endif
  }
};

using Wide = LanesOf<kLanes>;
using Single = LanesOf<1>;

// From here on GCC does not know that p is another pointer plus an offset, and adds no offset anew
// in the loop that follows.
FT_INLINE void forget_origin(const float*& p) { asm("" : "+r"(p)); }

// 32-bit ARM loads vectors from no sum of a pointer and an offset, but moves the pointer on in the
// same instruction, which GCC uses where that is the only way to the next address.
#if defined(__arm__)
constexpr bool kMovesPointers = true;
#else
constexpr bool kMovesPointers = false;
#endif

// The vector at p, and p moves on to the next.
FT_INLINE Vec load_next(const float*& p) {
  const Vec v = Wide::load(p);
  p += kLanes;
  if constexpr (kMovesPointers) forget_origin(p);
  return v;
}

// *p in every lane, and p moves on by one.
FT_INLINE Vec all_at_next(const float*& p) {
  const Vec v = Wide::all_at(p);
  ++p;
  if constexpr (kMovesPointers) forget_origin(p);
  return v;
}

// sums[row] += w[row] * right for six rows, and w moves on by as many. 32-bit ARM multiplies by an
// element of a register, though only without fusing: half the instructions.
constexpr int kRowsAtOnce = 6;
template <int vectors>
FT_INLINE void multiply_add_rows(const float*& w, const Vec (&right)[vectors],
                                 Vec (&sums)[kRowsAtOnce][vectors]) {
#if defined(__arm__) && defined(__ARM_NEON) && FT_SIMD_LANES == 4
  const float32x4_t low = load_next(w);
  const float32x2_t rows01 = vget_low_f32(low);
  const float32x2_t rows23 = vget_high_f32(low);
  const float32x2_t rows45 = vld1_f32(w);
  w += 2;
  forget_origin(w);
  for (int v = 0; v < vectors; ++v) {
    sums[0][v] = vmlaq_lane_f32(sums[0][v], right[v], rows01, 0);
    sums[1][v] = vmlaq_lane_f32(sums[1][v], right[v], rows01, 1);
    sums[2][v] = vmlaq_lane_f32(sums[2][v], right[v], rows23, 0);
    sums[3][v] = vmlaq_lane_f32(sums[3][v], right[v], rows23, 1);
    sums[4][v] = vmlaq_lane_f32(sums[4][v], right[v], rows45, 0);
    sums[5][v] = vmlaq_lane_f32(sums[5][v], right[v], rows45, 1);
  }
#else
  for (int row = 0; row < kRowsAtOnce; ++row) {
    const Vec left = Wide::all_at(w + row);
    for (int v = 0; v < vectors; ++v) sums[row][v] = Wide::fma(left, right[v], sums[row][v]);
  }
  w += kRowsAtOnce;
#endif
}

// Lanes of 64 bits, as many as fit the vector, of which a product reads the lower halves.
constexpr int64_t kLongLanes = kLanes > 1 ? kLanes / 2 : 1;
typedef uint64_t LongVec __attribute__((vector_size(kLongLanes * 8)));

FT_INLINE LongVec multiply_halves(LongVec a, uint32_t b) {
#if defined(__x86_64__) && FT_SIMD_LANES == 16
  return reinterpret_cast<LongVec>(
      // The masked form: GCC 12 warns of the other's deliberately undefined register.
      _mm512_maskz_mul_epu32(0xFF, reinterpret_cast<__m512i>(a), _mm512_set1_epi64(b)));
#elif defined(__x86_64__) && FT_SIMD_LANES == 8
  return reinterpret_cast<LongVec>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), _mm256_set1_epi64x(b)));
#elif defined(__x86_64__) && FT_SIMD_LANES == 4
  return reinterpret_cast<LongVec>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), _mm_set1_epi64x(b)));
#elif defined(__ARM_NEON) && FT_SIMD_LANES == 4
  return reinterpret_cast<LongVec>(vmull_n_u32(vmovn_u64(reinterpret_cast<uint64x2_t>(a)), b));
#else
  return (a & 0xFFFFFFFFU) * b;
#endif
}

// Calls body(lanes, i) for vectors, then for single elements, so that [0, n) is covered.
template <typename Body>
FT_INLINE void for_elements(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(Wide(), i);
  for (; i < n; ++i) body(Single(), i);
}

// Pairwise, so the order is the same as for a tree of any width.
FT_INLINE float sum_of_lanes(Vec v) {
#if defined(__ARM_NEON) && FT_SIMD_LANES == 4
  // An element that is read by itself would keep the vector in the lower half of the registers, and
  // its array, indexed in a loop, in memory.
  const float32x2_t half = vadd_f32(vget_low_f32(v), vget_high_f32(v));
  return vget_lane_f32(vpadd_f32(half, half), 0);
#else
  float lane[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) lane[i] = v[i];
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  return lane[0];
#endif
}

// Sum over i of body(lanes, i, accumulator so far), in four vectors to hide the latency of an add.
template <typename Body>
FT_INLINE float sum_elements(int64_t n, Body body) {
  Vec sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int64_t j = 0; j < 4; ++j) sums[j] = body(Wide(), i + j * kLanes, sums[j]);
  }
  for (; i + kLanes <= n; i += kLanes) sums[0] = body(Wide(), i, sums[0]);
  Single::V tail = {};
  for (; i < n; ++i) tail = body(Single(), i, tail);
  return sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3])) + tail[0];
}

}  // namespace
}  // namespace ft
