#pragma once

// Part of loop_bodies.h: the depthwise convolution's inner loops (FirPlan in loops.h).
//
// The phase is the outer loop and the groups the inner one, so that a phase's weights, masked once,
// stay in registers: no mask is applied where the work is. Nine taps (3 x 3) at a time fit the
// registers of every table; larger kernels go over the output several times.

#include "kernels/simd/loops.h"
#include "kernels/simd/vector.h"

namespace ft {
namespace {

constexpr int kFirTapsPerPass = 9;

template <int taps>
FT_INLINE void fir_pass(const FirPlan& plan, int64_t tap_first, const float* weights,
                        const float* x, float* out) {
  for (int64_t phase = 0; phase < plan.period; phase += kLanes) {
    Vec masked[taps];
    const float* source[taps];
    for (int tap = 0; tap < taps; ++tap) {
      const int32_t* mask = plan.masks + (tap_first + tap) * plan.period + phase;
      const IntVec bits = *reinterpret_cast<const VectorOf<kLanes>::IntInMemory*>(mask);
      masked[tap] = bits != 0 ? Wide::all(weights[tap_first + tap]) : Vec{};
      source[tap] = x + phase + plan.shifts[tap_first + tap];
    }
    float* target = out + phase;
    for (int64_t group = 0; group < plan.groups; ++group) {
      const int64_t at = group * plan.period;
      Vec result = tap_first == 0 ? Vec{} : Wide::load(target + at);
      for (int tap = 0; tap < taps; ++tap) {
        result = Wide::fma(masked[tap], Wide::load(source[tap] + at), result);
      }
      Wide::store(target + at, result);
    }
  }
}

template <int taps>
FT_INLINE void fir_weights_pass(const FirPlan& plan, int64_t tap_first, const float* dy,
                                const float* x, float* sums) {
  Vec totals[taps] = {};
  for (int64_t phase = 0; phase < plan.period; phase += kLanes) {
    Vec parts[taps] = {};
    const float* source[taps];
    for (int tap = 0; tap < taps; ++tap) source[tap] = x + phase + plan.shifts[tap_first + tap];
    for (int64_t group = 0; group < plan.groups; ++group) {
      const int64_t at = group * plan.period;
      const Vec g = Wide::load(dy + phase + at);
      for (int tap = 0; tap < taps; ++tap) {
        parts[tap] = Wide::fma(g, Wide::load(source[tap] + at), parts[tap]);
      }
    }
    for (int tap = 0; tap < taps; ++tap) {
      const int32_t* mask = plan.masks + (tap_first + tap) * plan.period + phase;
      const IntVec bits = *reinterpret_cast<const VectorOf<kLanes>::IntInMemory*>(mask);
      totals[tap] += bits != 0 ? parts[tap] : Vec{};
    }
  }
  for (int tap = 0; tap < taps; ++tap) sums[tap_first + tap] = sum_of_lanes(totals[tap]);
}

// Calls pass.template operator()<taps>(tap_first) for groups of at most kFirTapsPerPass taps.
template <typename Pass>
FT_INLINE void for_tap_passes(int64_t taps, Pass pass) {
  for (int64_t first = 0; first < taps; first += kFirTapsPerPass) {
    const int64_t left = taps - first;
    switch (left < kFirTapsPerPass ? left : kFirTapsPerPass) {
      case 1:
        pass.template operator()<1>(first);
        break;
      case 2:
        pass.template operator()<2>(first);
        break;
      case 3:
        pass.template operator()<3>(first);
        break;
      case 4:
        pass.template operator()<4>(first);
        break;
      case 5:
        pass.template operator()<5>(first);
        break;
      case 6:
        pass.template operator()<6>(first);
        break;
      case 7:
        pass.template operator()<7>(first);
        break;
      case 8:
        pass.template operator()<8>(first);
        break;
      default:
        pass.template operator()<kFirTapsPerPass>(first);
        break;
    }
  }
}

void fir(const FirPlan* plan, const float* weights, const float* x, float* out) {
  for_tap_passes(plan->taps,
                 [=]<int taps>(int64_t first) { fir_pass<taps>(*plan, first, weights, x, out); });
}

void fir_weights(const FirPlan* plan, const float* dy, const float* x, float* sums) {
  for_tap_passes(plan->taps, [=]<int taps>(int64_t first) {
    fir_weights_pass<taps>(*plan, first, dy, x, sums);
  });
}

}  // namespace
}  // namespace ft
