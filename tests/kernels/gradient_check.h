#pragma once

// Checks an operator's gradient against central finite differences.
//
// With a random projection P of output 0, L(x) = sum of P * f(x) and the gradient G that backward
// makes of P, every direction d of an input must satisfy
//   (L(x + h d) - L(x - h d)) / 2h = sum of G * d.
// A plain sum in place of P would hide errors that cancel. L is added up in double; what remains is
// the rounding of float32 outputs, which the tolerance knows.
//
// For functions with kinks (relu at 0), few elements move at once, and a probe that straddles a
// kink is thrown away: it changes when h is halved.
//
// Along the way: nothing is left unwritten (NaN), and the same bits come out with three threads, in
// place, and with one gradient wanted at a time.

#include "tests/kernels/op_runner.h"

namespace ft {

struct GradientOptions {
  double step = 1e-2;       // h; large for functions that are linear
  double tolerance = 5e-4;  // of the typical size of a probe's derivative
  // Elements moved at once: each element of an input is in one probe, and kinks are looked for.
  // 0: three probes with all elements at once, for functions without kinks.
  int64_t probe_elements = 0;
};

// For functions with kinks: seven elements at a time and a small step.
constexpr GradientOptions kKinkedGradient = {.step = 2e-3, .tolerance = 1e-3, .probe_elements = 7};
// For functions that are linear in each input.
constexpr GradientOptions kLinearGradient = {.step = 0.25, .tolerance = 2e-4};

void check_gradient(const OpCase& op_case, const GradientOptions& options = {});

}  // namespace ft
