#pragma once

// Part of loop_bodies.h: loops whose elements do not depend on each other.

#include "kernels/simd/loops.h"
#include "kernels/simd/vector.h"

namespace ft {
namespace {

void relu(const float* x, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto v = lanes.load(x + i);
    lanes.store(out + i, v < 0.0F ? lanes.all(0.0F) : v);
  });
}

void relu_backward(const float* y, const float* dy, float* dx, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    lanes.store(dx + i, lanes.load(y + i) > 0.0F ? lanes.load(dy + i) : lanes.all(0.0F));
  });
}

void clip(const float* x, float low, float high, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    auto v = lanes.load(x + i);
    v = v < low ? lanes.all(low) : v;
    lanes.store(out + i, v > high ? lanes.all(high) : v);
  });
}

void clip_backward(const float* x, const float* dy, float low, float high, float* dx, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto v = lanes.load(x + i);
    const auto inside = (v > low) & (v < high);
    lanes.store(dx + i, inside ? lanes.load(dy + i) : lanes.all(0.0F));
  });
}

void leaky_relu(const float* x, float slope, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto v = lanes.load(x + i);
    lanes.store(out + i, v > 0.0F ? v : v * slope);
  });
}

void leaky_relu_backward(const float* y, const float* dy, float slope, float* dx, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto g = lanes.load(dy + i);
    lanes.store(dx + i, lanes.load(y + i) > 0.0F ? g : g * slope);
  });
}

void add(const float* a, const float* b, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    lanes.store(out + i, lanes.load(a + i) + lanes.load(b + i));
  });
}

void sub(const float* a, const float* b, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    lanes.store(out + i, lanes.load(a + i) - lanes.load(b + i));
  });
}

void mul(const float* a, const float* b, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    lanes.store(out + i, lanes.load(a + i) * lanes.load(b + i));
  });
}

void div(const float* a, const float* b, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    lanes.store(out + i, lanes.load(a + i) / lanes.load(b + i));
  });
}

void add_scalar(const float* x, float s, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) { lanes.store(out + i, lanes.load(x + i) + s); });
}

void scale(const float* x, float s, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) { lanes.store(out + i, lanes.load(x + i) * s); });
}

void accumulate(const float* x, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    lanes.store(out + i, lanes.load(out + i) + lanes.load(x + i));
  });
}

void axpy(float s, const float* x, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    lanes.store(out + i, lanes.fma(lanes.all(s), lanes.load(x + i), lanes.load(out + i)));
  });
}

void multiply_accumulate(const float* a, const float* b, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    lanes.store(out + i, lanes.fma(lanes.load(a + i), lanes.load(b + i), lanes.load(out + i)));
  });
}

void drop(const float* numbers, const float* x, float ratio, float factor, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto kept = lanes.load(x + i) * factor;
    lanes.store(out + i, lanes.load(numbers + i) < ratio ? lanes.all(0.0F) : kept);
  });
}

void fill(float s, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) { lanes.store(out + i, lanes.all(s)); });
}

void maximum(const float* x, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto v = lanes.load(x + i);
    const auto best = lanes.load(out + i);
    lanes.store(out + i, v <= best ? best : v);
  });
}

void normalize(const float* x, float mean, float factor, float offset, float* out, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto centered = lanes.load(x + i) - mean;
    lanes.store(out + i, lanes.fma(centered, lanes.all(factor), lanes.all(offset)));
  });
}

void normalize_backward(const float* x, const float* dy, float mean, float factor, float slope,
                        float offset, float* dx, int64_t n) {
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto centered = lanes.load(x + i) - mean;
    const auto drift = lanes.fma(centered, lanes.all(slope), lanes.all(offset));
    lanes.store(dx + i, lanes.fma(lanes.load(dy + i), lanes.all(factor), drift));
  });
}

void sgd_step(SgdFactors factors, const float* weights, const float* gradient,
              const float* velocity, float* weights_out, float* velocity_out, int64_t n) {
  if (velocity == nullptr) {
    for_elements(n, [=](auto lanes, int64_t i) {
      const auto w = lanes.load(weights + i);
      const auto g = lanes.fma(lanes.all(factors.weight_decay), w, lanes.load(gradient + i));
      lanes.store(weights_out + i, lanes.fma(lanes.all(-factors.learning_rate), g, w));
    });
    return;
  }
  const float gradient_part = factors.nesterov ? 1.0F : 0.0F;
  const float velocity_part = factors.nesterov ? factors.momentum : 1.0F;
  for_elements(n, [=](auto lanes, int64_t i) {
    const auto w = lanes.load(weights + i);
    const auto g = lanes.fma(lanes.all(factors.weight_decay), w, lanes.load(gradient + i));
    const auto v = lanes.fma(lanes.all(factors.momentum), lanes.load(velocity + i), g);
    const auto step = lanes.fma(lanes.all(velocity_part), v, g * gradient_part);
    lanes.store(velocity_out + i, v);
    lanes.store(weights_out + i, lanes.fma(lanes.all(-factors.learning_rate), step, w));
  });
}

}  // namespace
}  // namespace ft
