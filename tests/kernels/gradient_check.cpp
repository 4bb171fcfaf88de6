#include "tests/kernels/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <doctest/doctest.h>

#include "runtime/base/random.h"

namespace ft {
namespace {

constexpr uint32_t kProjectionStream = 100;
constexpr uint32_t kDirectionStream = 200;
constexpr double kThrownAwayMax = 0.25;  // share of the probes

using Direction = std::vector<float>;

bool same_bits(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return false;
    if (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), a[i].size() * 4) != 0) return false;
  }
  return true;
}

bool all_finite(const Tensors& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
  });
}

class GradientCheck {
 public:
  GradientCheck(const OpCase& op_case, const GradientOptions& options)
      : case_(op_case), options_(options), runner_(op_case, {}) {
    for (const CaseInput& input : case_.inputs) {
      wanted_.push_back(input.role == InputRole::kVaried);
    }
  }

  void run() {
    outputs_ = runner_.forward({});
    CHECK_MESSAGE(all_finite(outputs_), "forward left something unwritten, or not finite");
    projection_ = random_floats(case_.seed, kProjectionStream,
                                static_cast<int64_t>(outputs_[0].size()), -1, 1);
    gradients_ = runner_.backward(projection_, wanted_);
    CHECK_MESSAGE(all_finite(gradients_), "backward left something unwritten, or not finite");
    check_variants();
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (wanted_[i]) check_input(i);
    }
  }

 private:
  double loss(const Tensors& outputs) const {
    double sum = 0;
    for (size_t i = 0; i < projection_.size(); ++i) {
      sum += static_cast<double>(projection_[i]) * static_cast<double>(outputs[0][i]);
    }
    return sum;
  }

  // What independent rounding errors of the outputs do to the loss.
  double loss_noise() const {
    double squares = 0;
    for (size_t i = 0; i < projection_.size(); ++i) {
      const double term = static_cast<double>(projection_[i]) * outputs_[0][i];
      squares += term * term;
    }
    return std::sqrt(squares) * 1.2e-7;
  }

  void check_variants() {
    OpRunner threaded(case_, {.threads = 3});
    CHECK_MESSAGE(same_bits(threaded.forward({}), outputs_), "forward depends on the threads");
    CHECK_MESSAGE(same_bits(threaded.backward(projection_, wanted_), gradients_),
                  "backward depends on the threads");
    if (runner_.plan().in_place) {
      OpRunner in_place(case_, {.in_place = true});
      CHECK_MESSAGE(same_bits(in_place.forward({}), outputs_), "forward fails in place");
      CHECK_MESSAGE(same_bits(in_place.backward(projection_, wanted_), gradients_),
                    "backward fails in place");
    }
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (!wanted_[i] || runner_.plan().is_view) continue;
      std::vector<bool> only(wanted_.size(), false);
      only[i] = true;
      CHECK_MESSAGE(runner_.backward(projection_, only)[i] == gradients_[i],
                    "gradient " << i << " depends on which others are wanted");
    }
    OpRunner inference(case_, {.mode = Mode::kInfer});
    CHECK_MESSAGE(all_finite(inference.forward({})), "inference left something unwritten");
  }

  std::vector<Direction> directions(size_t input) const {
    const size_t count = gradients_[input].size();
    const auto random = random_floats(case_.seed, kDirectionStream + static_cast<uint32_t>(input),
                                      static_cast<int64_t>(count) * 3, -1, 1);
    const size_t group = static_cast<size_t>(options_.probe_elements);
    const size_t probes = group == 0 ? 3 : (count + group - 1) / group;
    std::vector<Direction> result(probes, Direction(count, 0.0F));
    for (size_t i = 0; i < count; ++i) {
      // Away from 0, so that every element counts.
      for (size_t probe = 0; probe < (group == 0 ? probes : 1); ++probe) {
        const float value = random[i * 3 + probe];
        const size_t at = group == 0 ? probe : i % probes;
        result[at][i] = value < 0 ? value * 0.5F - 0.5F : value * 0.5F + 0.5F;
      }
    }
    return result;
  }

  double loss_at(size_t input, const Direction& direction, double distance) {
    Tensors inputs(case_.inputs.size());
    inputs[input] = runner_.inputs()[input];
    for (size_t i = 0; i < direction.size(); ++i) {
      inputs[input][i] = static_cast<float>(inputs[input][i] + distance * direction[i]);
    }
    return loss(runner_.forward(inputs));
  }

  // Differences of the loss along a direction.
  struct Differences {
    double first = 0;   // (L(h) - L(-h)) / 2h
    double second = 0;  // (L(h) - 2 L(0) + L(-h)) / h
  };
  Differences differences(size_t input, const Direction& direction, double step) {
    const double above = loss_at(input, direction, step);
    const double below = loss_at(input, direction, -step);
    return {(above - below) / (2 * step), (above - 2 * loss(outputs_) + below) / step};
  }

  // An element that crosses a kink at the distance t h (0 <= t <= 1), where the slope changes by j,
  // puts an error of j (1 - t) / 2 on the first difference. Half the step changes that by j t / 2
  // (t < 1/2) or takes it away; where t is too small for that to show, it does not halve the second
  // difference as it would for a smooth function. With these thresholds an error above the
  // tolerance is always seen.
  static bool straddles_kink(const Differences& whole, const Differences& half, double tolerance) {
    return std::abs(whole.first - half.first) > tolerance / 4 ||
           std::abs(2 * half.second - whole.second) > tolerance / 2;
  }

  void check_input(size_t input) {
    size_t thrown_away = 0;
    const auto probes = directions(input);
    for (size_t probe = 0; probe < probes.size(); ++probe) {
      const Direction& direction = probes[probe];
      double expected = 0;
      double squares = 0;
      for (size_t i = 0; i < direction.size(); ++i) {
        const double term = static_cast<double>(gradients_[input][i]) * direction[i];
        expected += term;
        squares += term * term;
      }
      const Differences whole = differences(input, direction, options_.step);
      const double numeric = whole.first;
      const double scale = std::max({std::abs(numeric), std::abs(expected), std::sqrt(squares)});
      const double tolerance = options_.tolerance * scale + 4 * loss_noise() / options_.step;
      if (options_.probe_elements != 0) {
        const Differences half = differences(input, direction, options_.step / 2);
        if (straddles_kink(whole, half, tolerance)) {
          ++thrown_away;
          continue;
        }
      }
      CHECK_MESSAGE(std::abs(numeric - expected) <= tolerance,
                    case_.op << ", seed " << case_.seed << ", input " << input << ", probe "
                             << probe << ": gradient " << expected << ", finite difference "
                             << numeric << ", tolerance " << tolerance);
    }
    CHECK_MESSAGE(static_cast<double>(thrown_away) <= kThrownAwayMax * probes.size(),
                  case_.op << ", input " << input << ": " << thrown_away << " of " << probes.size()
                           << " probes straddle a kink; use a smaller step");
  }

  const OpCase& case_;
  const GradientOptions options_;
  OpRunner runner_;
  std::vector<bool> wanted_;
  std::vector<float> projection_;
  Tensors outputs_;
  Tensors gradients_;
};

}  // namespace

void check_gradient(const OpCase& op_case, const GradientOptions& options) {
  CAPTURE(op_case.op);
  CAPTURE(op_case.seed);
  GradientCheck(op_case, options).run();
}

}  // namespace ft
