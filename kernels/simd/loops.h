#pragma once

// The hot loops: free functions on raw pointers and counts, compiled once per instruction set from
// one source (loop_bodies.h) and chosen at run time. Any thread may call them; they allocate
// nothing.
//
// The list below is the only one: it declares the loops, makes the tables and drives the tests of
// every table against the scalar one. A loop that is not tested cannot exist.
//
// The same table gives the same bits for the same call. Tables differ in the last bits (fused
// multiply-add, order of partial sums), so the table's name is part of a member's numerics.
//
// Unless a comment says otherwise: arrays have n elements, n may be 0, alignment does not matter,
// and an output may be exactly an input (in place) but not overlap it partly.

#include <stdint.h>

#ifndef FT_SIMD_LANES  // the per-ISA files include nothing of the standard library (loop_bodies.h)
#include <string>
#endif

namespace ft {

// A depthwise convolution on a flattened channel (conv_depthwise.h): output element i, at phase
// i % period, is the sum over the taps of weight * x[i + shift]. masks[tap * period + phase] is all
// ones where the tap lies inside the image, 0 where it does not.
struct FirPlan {
  int64_t period = 0;  // a multiple of kFirPeriodLanes
  int64_t groups = 0;  // the output has groups * period elements
  int64_t taps = 0;
  const int32_t* masks = nullptr;   // [taps * period]
  const int64_t* shifts = nullptr;  // [taps]
};
constexpr int64_t kFirPeriodLanes = 16;  // the widest vector

// Rows of `count` elements, as far apart as the steps say.
struct CopyRows {
  int64_t rows = 0;
  int64_t count = 0;
  int64_t from_step = 0;
  int64_t to_step = 0;
};

// Rows of pairs (x0 y0 x1 y1 ...), for stride 2: `rows` rows of `count` elements, the last one
// alone if that is odd; row r at r * paired_step on the paired side and at r * split_step on each
// split side.
struct PairRows {
  int64_t rows = 0;
  int64_t count = 0;
  int64_t paired_step = 0;
  int64_t split_step = 0;
};

// A tile of a matrix product (packed_gemm.h): C[6][16] = or += A[depth][6] B[depth][16], rows of C
// c_step apart.
struct GemmTile {
  int64_t depth = 0;
  int64_t c_step = 0;
  bool accumulates = false;
};
constexpr int64_t kGemmTileRows = 6;
constexpr int64_t kGemmTileColumns = 16;

// A product whose right side is one array seen at several shifts: a convolution on a grid
// (conv_direct.h). At most kShiftedRows rows; columns are a multiple of kShiftedColumns.
struct ShiftedProduct {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t depth = 0;
  int64_t c_step = 0;
  const int64_t* shifts = nullptr;  // [depth]
  const float* bias = nullptr;      // [rows]: what the sums begin with; null: 0
};
constexpr int64_t kShiftedRows = 6;
constexpr int64_t kShiftedColumns = 32;

// The product's gradient for the left side: at most kShiftedSumRows rows and kShiftedSumDepth
// shifts; columns as above.
struct ShiftedSums {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t depth = 0;
  int64_t a_step = 0;
  const int64_t* shifts = nullptr;  // [depth]
};
constexpr int64_t kShiftedSumRows = 3;
constexpr int64_t kShiftedSumDepth = 4;

// The largest of what several taps see (max_pool.cpp); columns as above.
struct ShiftedMax {
  int64_t columns = 0;
  int64_t depth = 0;
  const int64_t* shifts = nullptr;  // [depth]
};

// Its gradient: the taps that see an element, and how they mark that it was the largest.
struct ShiftedMarks {
  int64_t columns = 0;
  int64_t depth = 0;
  const int64_t* shifts = nullptr;  // [depth]
  const float* marks = nullptr;     // [depth]
};

// Where a stream of random numbers begins (runtime/base/random.h): Philox's key and counter.
struct RandomStart {
  uint64_t key = 0;
  uint64_t high = 0;
  uint64_t low = 0;
};

// One step of SGD (optimizer.h has the formulas).
struct SgdFactors {
  float learning_rate = 0;
  float momentum = 0;
  float weight_decay = 0;
  bool nesterov = false;
};

// X(result, name, parameters, arguments)
#define FT_LOOPS(X)                                                                                \
  /* out = max(x, 0); NaN stays NaN. */                                                            \
  X(void, relu, (const float* x, float* out, int64_t n), (x, out, n))                              \
  /* dx = y > 0 ? dy : 0, with y the input or the output of relu. */                               \
  X(void, relu_backward, (const float* y, const float* dy, float* dx, int64_t n), (y, dy, dx, n))  \
  /* out = min(max(x, low), high); NaN stays NaN. */                                               \
  X(void, clip, (const float* x, float low, float high, float* out, int64_t n),                    \
    (x, low, high, out, n))                                                                        \
  /* dx = low < x && x < high ? dy : 0: as PyTorch's ReLU6, nothing passes on the bounds. x may    \
     be the output of clip. */                                                                     \
  X(void, clip_backward,                                                                           \
    (const float* x, const float* dy, float low, float high, float* dx, int64_t n),                \
    (x, dy, low, high, dx, n))                                                                     \
  /* out = x > 0 ? x : slope * x */                                                                \
  X(void, leaky_relu, (const float* x, float slope, float* out, int64_t n), (x, slope, out, n))    \
  /* dx = y > 0 ? dy : slope * dy */                                                               \
  X(void, leaky_relu_backward,                                                                     \
    (const float* y, const float* dy, float slope, float* dx, int64_t n), (y, dy, slope, dx, n))   \
  X(void, add, (const float* a, const float* b, float* out, int64_t n), (a, b, out, n))            \
  X(void, sub, (const float* a, const float* b, float* out, int64_t n), (a, b, out, n))            \
  X(void, mul, (const float* a, const float* b, float* out, int64_t n), (a, b, out, n))            \
  X(void, div, (const float* a, const float* b, float* out, int64_t n), (a, b, out, n))            \
  /* out = x + s */                                                                                \
  X(void, add_scalar, (const float* x, float s, float* out, int64_t n), (x, s, out, n))            \
  /* out = x * s */                                                                                \
  X(void, scale, (const float* x, float s, float* out, int64_t n), (x, s, out, n))                 \
  /* out += x */                                                                                   \
  X(void, accumulate, (const float* x, float* out, int64_t n), (x, out, n))                        \
  /* out += s * x */                                                                               \
  X(void, axpy, (float s, const float* x, float* out, int64_t n), (s, x, out, n))                  \
  /* out += a * b */                                                                               \
  X(void, multiply_accumulate, (const float* a, const float* b, float* out, int64_t n),            \
    (a, b, out, n))                                                                                \
  /* out = numbers < ratio ? 0 : x * factor */                                                     \
  X(void, drop,                                                                                    \
    (const float* numbers, const float* x, float ratio, float factor, float* out, int64_t n),      \
    (numbers, x, ratio, factor, out, n))                                                           \
  X(void, fill, (float s, float* out, int64_t n), (s, out, n))                                     \
  /* out[i] = max(out[i], x[i]); NaN in x stays. */                                                \
  X(void, maximum, (const float* x, float* out, int64_t n), (x, out, n))                           \
  /* Sum of x. Single precision in several lanes: call it on chunks of some thousand elements      \
     and add the results in double. */                                                             \
  X(float, sum, (const float* x, int64_t n), (x, n))                                               \
  /* sums[0] = sum of x - center, sums[1] = sum of (x - center)^2; as for sum. */                  \
  X(void, centered_sums, (const float* x, float center, float* sums, int64_t n),                   \
    (x, center, sums, n))                                                                          \
  /* Sum of a * b; as for sum. */                                                                  \
  X(float, dot, (const float* a, const float* b, int64_t n), (a, b, n))                            \
  /* Largest element; REQUIRES: n > 0. */                                                          \
  X(float, max_element, (const float* x, int64_t n), (x, n))                                       \
  /* out = (x - mean) * factor + offset */                                                         \
  X(void, normalize,                                                                               \
    (const float* x, float mean, float factor, float offset, float* out, int64_t n),               \
    (x, mean, factor, offset, out, n))                                                             \
  /* sums[0] = sum of dy, sums[1] = sum of dy * (x - mean); as for sum. */                         \
  X(void, normalize_sums, (const float* x, const float* dy, float mean, float* sums, int64_t n),   \
    (x, dy, mean, sums, n))                                                                        \
  /* dx = dy * factor + (x - mean) * slope + offset */                                             \
  X(void, normalize_backward,                                                                      \
    (const float* x, const float* dy, float mean, float factor, float slope, float offset,         \
     float* dx, int64_t n),                                                                        \
    (x, dy, mean, factor, slope, offset, dx, n))                                                   \
  /* The formulas are in optimizer.h. velocity and velocity_out are null without momentum. */      \
  X(void, sgd_step,                                                                                \
    (SgdFactors factors, const float* weights, const float* gradient, const float* velocity,       \
     float* weights_out, float* velocity_out, int64_t n),                                          \
    (factors, weights, gradient, velocity, weights_out, velocity_out, n))                          \
  /* out[i] = sum over the taps of weights[tap] * x[i + shift]; out does not overlap x. Elements   \
     of x that a mask hides are read and multiplied with 0, so they must be finite. */             \
  X(void, fir, (const FirPlan* plan, const float* weights, const float* x, float* out),            \
    (plan, weights, x, out))                                                                       \
  /* sums[tap] = sum over i of dy[i] * x[i + shift], as for sum. */                                \
  X(void, fir_weights, (const FirPlan* plan, const float* dy, const float* x, float* sums),        \
    (plan, dy, x, sums))                                                                           \
  /* A tile of C, its sums over depth in order; a and b are packed, c does not overlap them. */    \
  X(void, gemm_tile, (GemmTile tile, const float* a, const float* b, float* c), (tile, a, b, c))   \
  /* c[row][i] = bias[row] + sum over k of w[k][row] x[shifts[k] + i], in order; w is              \
     [depth][rows], c does not overlap the others. */                                              \
  X(void, shifted_product,                                                                         \
    (const ShiftedProduct* product, const float* w, const float* x, float* c), (product, w, x, c)) \
  /* sums[row * depth + k] = sum over i of a[row][i] x[shifts[k] + i], as for sum. */              \
  X(void, shifted_sums, (const ShiftedSums* shape, const float* a, const float* x, float* sums),   \
    (shape, a, x, sums))                                                                           \
  /* best[i] = the largest x[shifts[k] + i], winner[i] = its k, the least of equals; a NaN wins.   \
   */                                                                                              \
  X(void, shifted_max, (const ShiftedMax* shape, const float* x, float* best, float* winner),      \
    (shape, x, best, winner))                                                                      \
  /* out[i] = sum over k of winner[shifts[k] + i] == marks[k] ? x[shifts[k] + i] : 0, in order. */ \
  X(void, shifted_marked,                                                                          \
    (const ShiftedMarks* shape, const float* winner, const float* x, float* out),                  \
    (shape, winner, x, out))                                                                       \
  /* out[i] = uniform_float of number i % 4 of the block at counter low + i / 4; the same bits in  \
     every table. */                                                                               \
  X(void, uniform_numbers, (RandomStart start, float* out, int64_t n), (start, out, n))            \
  /* out = x, row by row; nothing overlaps. */                                                     \
  X(void, copy_rows, (CopyRows rows, const float* x, float* out), (rows, x, out))                  \
  /* first[i] = x[2 i], second[i] = x[2 i + 1], row by row; nothing overlaps. */                   \
  X(void, split_pairs, (PairRows rows, const float* x, float* first, float* second),               \
    (rows, x, first, second))                                                                      \
  /* The inverse: x[2 i] = first[i], x[2 i + 1] = second[i]. */                                    \
  X(void, merge_pairs, (PairRows rows, const float* first, const float* second, float* x),         \
    (rows, first, second, x))

namespace loops {

#define FT_DECLARE_LOOP(result, name, parameters, arguments) result name parameters;
FT_LOOPS(FT_DECLARE_LOOP)
#undef FT_DECLARE_LOOP

}  // namespace loops

#ifndef FT_SIMD_LANES
// Name of the table in use ("avx512"): part of a member's numerics. The environment variable
// FTRUN_SIMD (scalar, sse2, avx2, avx512, neon) overrides the choice; a table that this machine
// cannot run is ignored.
std::string simd_description();
#endif

}  // namespace ft
