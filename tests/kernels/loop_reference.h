#pragma once

// Every loop of loops.h as its comment says, element by element and in double precision, rounded
// once at the end: what each table is compared with. A loop without a line here does not compile
// into loops_test.

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/simd/loops.h"
#include "runtime/base/random.h"

namespace ft::reference {

inline void each(int64_t n, float* out, const std::function<double(int64_t)>& value) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(value(i));
}

inline double total(int64_t n, const std::function<double(int64_t)>& value) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += value(i);
  return sum;
}

inline double product(float a, float b) { return static_cast<double>(a) * b; }

inline void relu(const float* x, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return x[i] < 0 ? 0.0 : x[i]; });
}
inline void relu_backward(const float* y, const float* dy, float* dx, int64_t n) {
  each(n, dx, [=](int64_t i) { return y[i] > 0 ? dy[i] : 0.0; });
}
inline void clip(const float* x, float low, float high, float* out, int64_t n) {
  // low above high: the upper bound wins.
  each(n, out, [=](int64_t i) { return std::min(std::max(x[i], low), high); });
}
inline void clip_backward(const float* x, const float* dy, float low, float high, float* dx,
                          int64_t n) {
  each(n, dx, [=](int64_t i) { return low < x[i] && x[i] < high ? dy[i] : 0.0; });
}
inline void leaky_relu(const float* x, float slope, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return x[i] > 0 ? x[i] : product(x[i], slope); });
}
inline void leaky_relu_backward(const float* y, const float* dy, float slope, float* dx,
                                int64_t n) {
  each(n, dx, [=](int64_t i) { return y[i] > 0 ? dy[i] : product(dy[i], slope); });
}
inline void add(const float* a, const float* b, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return static_cast<double>(a[i]) + b[i]; });
}
inline void sub(const float* a, const float* b, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return static_cast<double>(a[i]) - b[i]; });
}
inline void mul(const float* a, const float* b, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return product(a[i], b[i]); });
}
inline void div(const float* a, const float* b, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return static_cast<double>(a[i]) / b[i]; });
}
inline void add_scalar(const float* x, float s, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return static_cast<double>(x[i]) + s; });
}
inline void scale(const float* x, float s, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return product(x[i], s); });
}
inline void accumulate(const float* x, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return static_cast<double>(out[i]) + x[i]; });
}
inline void axpy(float s, const float* x, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return out[i] + product(s, x[i]); });
}
inline void multiply_accumulate(const float* a, const float* b, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return out[i] + product(a[i], b[i]); });
}
inline void drop(const float* numbers, const float* x, float ratio, float factor, float* out,
                 int64_t n) {
  each(n, out, [=](int64_t i) { return numbers[i] < ratio ? 0.0 : product(x[i], factor); });
}
inline void fill(float s, float* out, int64_t n) {
  each(n, out, [=](int64_t) { return s; });
}
inline void maximum(const float* x, float* out, int64_t n) {
  each(n, out, [=](int64_t i) { return std::max(out[i], x[i]); });
}
inline float sum(const float* x, int64_t n) {
  return static_cast<float>(total(n, [=](int64_t i) { return x[i]; }));
}
inline void centered_sums(const float* x, float center, float* sums, int64_t n) {
  const auto centered = [=](int64_t i) { return static_cast<double>(x[i]) - center; };
  sums[0] = static_cast<float>(total(n, centered));
  sums[1] = static_cast<float>(total(n, [=](int64_t i) { return centered(i) * centered(i); }));
}
inline float dot(const float* a, const float* b, int64_t n) {
  return static_cast<float>(total(n, [=](int64_t i) { return product(a[i], b[i]); }));
}
inline float max_element(const float* x, int64_t n) { return *std::max_element(x, x + n); }
inline void normalize(const float* x, float mean, float factor, float offset, float* out,
                      int64_t n) {
  each(n, out, [=](int64_t i) { return (static_cast<double>(x[i]) - mean) * factor + offset; });
}
inline void normalize_sums(const float* x, const float* dy, float mean, float* sums, int64_t n) {
  sums[0] = static_cast<float>(total(n, [=](int64_t i) { return dy[i]; }));
  sums[1] = static_cast<float>(
      total(n, [=](int64_t i) { return dy[i] * (static_cast<double>(x[i]) - mean); }));
}
inline void normalize_backward(const float* x, const float* dy, float mean, float factor,
                               float slope, float offset, float* dx, int64_t n) {
  each(n, dx, [=](int64_t i) {
    return product(dy[i], factor) + (static_cast<double>(x[i]) - mean) * slope + offset;
  });
}
inline void sgd_step(SgdFactors f, const float* weights, const float* gradient,
                     const float* velocity, float* weights_out, float* velocity_out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double g = gradient[i] + product(f.weight_decay, weights[i]);
    const double v = velocity == nullptr ? g : product(f.momentum, velocity[i]) + g;
    const double step = velocity != nullptr && f.nesterov ? g + f.momentum * v : v;
    const double w = weights[i] - f.learning_rate * step;
    if (velocity != nullptr) velocity_out[i] = static_cast<float>(v);
    weights_out[i] = static_cast<float>(w);
  }
}
// Whether tap `tap` of output element i lies inside the image.
inline bool is_inside(const FirPlan& plan, int64_t tap, int64_t i) {
  return plan.masks[tap * plan.period + i % plan.period] != 0;
}
inline void fir(const FirPlan* plan, const float* weights, const float* x, float* out) {
  each(plan->groups * plan->period, out, [=](int64_t i) {
    return total(plan->taps, [=](int64_t tap) {
      return is_inside(*plan, tap, i) ? product(weights[tap], x[i + plan->shifts[tap]]) : 0;
    });
  });
}
inline void fir_weights(const FirPlan* plan, const float* dy, const float* x, float* sums) {
  each(plan->taps, sums, [=](int64_t tap) {
    return total(plan->groups * plan->period, [=](int64_t i) {
      return is_inside(*plan, tap, i) ? product(dy[i], x[i + plan->shifts[tap]]) : 0;
    });
  });
}
inline void gemm_tile(GemmTile tile, const float* a, const float* b, float* c) {
  for (int64_t row = 0; row < kGemmTileRows; ++row) {
    for (int64_t column = 0; column < kGemmTileColumns; ++column) {
      float& element = c[row * tile.c_step + column];
      const double sum = total(tile.depth, [=](int64_t k) {
        return product(a[k * kGemmTileRows + row], b[k * kGemmTileColumns + column]);
      });
      element = static_cast<float>(tile.accumulates ? element + sum : sum);
    }
  }
}
inline void shifted_product(const ShiftedProduct* product, const float* w, const float* x,
                            float* c) {
  for (int64_t row = 0; row < product->rows; ++row) {
    const double bias = product->bias == nullptr ? 0.0 : product->bias[row];
    each(product->columns, c + row * product->c_step, [=](int64_t i) {
      return bias + total(product->depth, [=](int64_t k) {
               return ft::reference::product(w[k * product->rows + row], x[product->shifts[k] + i]);
             });
    });
  }
}
inline void shifted_sums(const ShiftedSums* shape, const float* a, const float* x, float* sums) {
  for (int64_t row = 0; row < shape->rows; ++row) {
    each(shape->depth, sums + row * shape->depth, [=](int64_t k) {
      return total(shape->columns, [=](int64_t i) {
        return product(a[row * shape->a_step + i], x[shape->shifts[k] + i]);
      });
    });
  }
}
inline void shifted_max(const ShiftedMax* shape, const float* x, float* best, float* winner) {
  for (int64_t i = 0; i < shape->columns; ++i) {
    int64_t place = 0;
    for (int64_t k = 1; k < shape->depth; ++k) {
      if (x[shape->shifts[k] + i] > x[shape->shifts[place] + i]) place = k;
    }
    best[i] = x[shape->shifts[place] + i];
    winner[i] = static_cast<float>(place);
  }
}
inline void shifted_marked(const ShiftedMarks* shape, const float* winner, const float* x,
                           float* out) {
  each(shape->columns, out, [=](int64_t i) {
    return total(shape->depth, [=](int64_t k) {
      const int64_t at = shape->shifts[k] + i;
      return winner[at] == shape->marks[k] ? double{x[at]} : 0.0;
    });
  });
}
inline void uniform_numbers(RandomStart start, float* out, int64_t n) {
  each(n, out, [=](int64_t i) {
    const auto low = start.low + static_cast<uint64_t>(i) / 4;
    return uniform_float(philox(start.key, start.high, low)[static_cast<size_t>(i % 4)]);
  });
}
inline void copy_rows(CopyRows rows, const float* x, float* out) {
  for (int64_t row = 0; row < rows.rows; ++row) {
    std::copy_n(x + row * rows.from_step, rows.count, out + row * rows.to_step);
  }
}
inline void split_pairs(PairRows rows, const float* x, float* first, float* second) {
  for (int64_t row = 0; row < rows.rows; ++row) {
    for (int64_t i = 0; i < rows.count; ++i) {
      float* const target = i % 2 == 0 ? first : second;
      target[row * rows.split_step + i / 2] = x[row * rows.paired_step + i];
    }
  }
}
inline void merge_pairs(PairRows rows, const float* first, const float* second, float* x) {
  for (int64_t row = 0; row < rows.rows; ++row) {
    for (int64_t i = 0; i < rows.count; ++i) {
      const float* const source = i % 2 == 0 ? first : second;
      x[row * rows.paired_step + i] = source[row * rows.split_step + i / 2];
    }
  }
}

}  // namespace ft::reference
