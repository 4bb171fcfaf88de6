// Functions of one element, of two with numpy's broadcasting, and dropout.

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/base/random.h"
#include "tests/graph_fuzz/judge_ops.h"

namespace ft::fuzz {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// y = f(x); `a` and `b` are the operator's numbers.
struct Curve {
  double (*value)(double x, double a, double b);
  double (*slope)(double x, double a, double b);
  std::vector<double> (*kinks)(double a, double b);
};

struct Numbers {
  double a = 0;
  double b = 0;
};

using ReadNumbers = Numbers (*)(const NodeCall& call);

Numbers no_numbers(const NodeCall&) { return {}; }
Numbers leaky_numbers(const NodeCall& call) { return {float_of(call, "alpha", 0.01), 0}; }
Numbers hard_sigmoid_numbers(const NodeCall& call) {
  return {float_of(call, "alpha", 0.2), float_of(call, "beta", 0.5)};
}
Numbers clip_numbers(const NodeCall& call) {
  const Array* low = input_of(call, 1);
  const Array* high = input_of(call, 2);
  return {low == nullptr ? -kInfinity : low->at[0], high == nullptr ? kInfinity : high->at[0]};
}

std::vector<double> at_zero(double, double) { return {0}; }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const Curve kRelu = {[](double x, double, double) { return std::max(x, 0.0); },
                     [](double x, double, double) { return x > 0 ? 1.0 : 0.0; }, at_zero};
const Curve kLeaky = {[](double x, double a, double) { return x > 0 ? x : a * x; },
                      [](double x, double a, double) { return x > 0 ? 1.0 : a; }, at_zero};
// On a bound nothing passes, as in PyTorch's ReLU6.
const Curve kClip = {[](double x, double a, double b) { return std::min(std::max(x, a), b); },
                     [](double x, double a, double b) { return x > a && x < b ? 1.0 : 0.0; },
                     [](double a, double b) {
                       return std::vector<double>{a, b};
                     }};
const Curve kHardSigmoid = {
    [](double x, double a, double b) { return std::clamp(a * x + b, 0.0, 1.0); },
    [](double x, double a, double b) { return a * x + b > 0 && a * x + b < 1 ? a : 0.0; },
    [](double a, double b) {
      return std::vector<double>{-b / a, (1 - b) / a};
    }};
const Curve kHardSwish = {
    [](double x, double, double) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); },
    [](double x, double, double) { return x <= -3 ? 0.0
                                          : x < 3 ? x / 3 + 0.5
                                                  : 1.0; },
    [](double, double) {
      return std::vector<double>{-3, 3};
    }};
const Curve kSigmoid = {[](double x, double, double) { return sigmoid(x); },
                        [](double x, double, double) { return sigmoid(x) * (1 - sigmoid(x)); },
                        nullptr};
const Curve kTanh = {[](double x, double, double) { return std::tanh(x); },
                     [](double x, double, double) { return 1 - std::tanh(x) * std::tanh(x); },
                     nullptr};

template <const Curve& kCurve, ReadNumbers kNumbers>
struct Unary {
  static void forward(const NodeCall& call, std::vector<Array>* outputs) {
    const Numbers n = kNumbers(call);
    Array y = *call.inputs[0];
    for (double& x : y.at) x = kCurve.value(x, n.a, n.b);
    *outputs = {std::move(y)};
  }
  static void backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                       const std::vector<Array*>& grad_inputs) {
    const Numbers n = kNumbers(call);
    if (grad_inputs[0] == nullptr) return;
    for (size_t i = 0; i < grad.at.size(); ++i) {
      grad_inputs[0]->at[i] += grad.at[i] * kCurve.slope(call.inputs[0]->at[i], n.a, n.b);
    }
  }
  static double kink(const NodeCall& call, const std::vector<Array>&) {
    if (kCurve.kinks == nullptr) return kInfinity;
    const Numbers n = kNumbers(call);
    double nearest = kInfinity;
    for (const double point : kCurve.kinks(n.a, n.b)) {
      for (const double x : call.inputs[0]->at) {
        if (x != point) nearest = std::min(nearest, std::abs(x - point));
      }
    }
    return nearest;
  }
};

template <const Curve& kCurve, ReadNumbers kNumbers = no_numbers>
constexpr JudgeOp unary(const char* name) {
  using Op = Unary<kCurve, kNumbers>;
  return {name, Op::forward, Op::backward, Op::kink};
}

struct Pair {
  double (*value)(double a, double b);
  double (*slope_a)(double a, double b);
  double (*slope_b)(double a, double b);
};

double one(double, double) { return 1; }
const Pair kAdd = {[](double a, double b) { return a + b; }, one, one};
const Pair kSub = {[](double a, double b) { return a - b; }, one,
                   [](double, double) { return -1.0; }};
const Pair kMul = {[](double a, double b) { return a * b; }, [](double, double b) { return b; },
                   [](double a, double) { return a; }};
const Pair kDiv = {[](double a, double b) { return a / b; }, [](double, double b) { return 1 / b; },
                   [](double a, double b) { return -a / (b * b); }};

template <const Pair& kPair>
struct Binary {
  static void forward(const NodeCall& call, std::vector<Array>* outputs) {
    const Array& a = *call.inputs[0];
    const Array& b = *call.inputs[1];
    Array y = zeros(broadcast(a.dims, b.dims));
    const auto in_a = spread(a.dims, y.dims);
    const auto in_b = spread(b.dims, y.dims);
    for (size_t i = 0; i < y.at.size(); ++i) {
      y.at[i] = kPair.value(a.at[static_cast<size_t>(in_a[i])], b.at[static_cast<size_t>(in_b[i])]);
    }
    *outputs = {std::move(y)};
  }
  static void backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                       const std::vector<Array*>& grad_inputs) {
    const Array& a = *call.inputs[0];
    const Array& b = *call.inputs[1];
    const auto in_a = spread(a.dims, grad.dims);
    const auto in_b = spread(b.dims, grad.dims);
    for (size_t i = 0; i < grad.at.size(); ++i) {
      const auto at_a = static_cast<size_t>(in_a[i]);
      const auto at_b = static_cast<size_t>(in_b[i]);
      const double g = grad.at[i];
      if (grad_inputs[0] != nullptr) {
        grad_inputs[0]->at[at_a] += g * kPair.slope_a(a.at[at_a], b.at[at_b]);
      }
      if (grad_inputs[1] != nullptr) {
        grad_inputs[1]->at[at_b] += g * kPair.slope_b(a.at[at_a], b.at[at_b]);
      }
    }
  }
};

template <const Pair& kPair>
constexpr JudgeOp binary(const char* name) {
  return {name, Binary<kPair>::forward, Binary<kPair>::backward, nullptr};
}

// By element what dropout multiplies with. The mask is the documented pure function of seed, node,
// epoch, batch, row and element in the row (kernels/dropout.cpp); only the generator of random
// numbers (runtime/base/random.h) is shared.
std::vector<double> dropout_factors(const NodeCall& call) {
  const Array& x = *call.inputs[0];
  const double ratio = input_of(call, 1) == nullptr ? 0.5 : input_of(call, 1)->at[0];
  const bool drops = input_of(call, 2) != nullptr && input_of(call, 2)->at[0] != 0;
  std::vector<double> factors(x.at.size(), 1.0);
  if (!call.moment.trains || !drops || ratio == 0) return factors;
  const int64_t rows = x.dims[0];
  const int64_t elements = count_of(x.dims) / rows;
  const RandomKey key = {call.moment.seed, RandomPurpose::kDropout, call.number};
  const uint64_t high =
      (static_cast<uint64_t>(call.moment.epoch) << 40) ^ static_cast<uint64_t>(call.moment.batch);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t first = (row + call.moment.row_first) * ((elements + 3) / 4);
    for (int64_t i = 0; i < elements; ++i) {
      const auto block = random_block(key, high, static_cast<uint64_t>(first + i / 4));
      const float number = uniform_float(block[static_cast<size_t>(i % 4)]);
      factors[static_cast<size_t>(row * elements + i)] =
          static_cast<double>(number) < ratio ? 0 : 1 / (1 - ratio);
    }
  }
  return factors;
}

void dropout_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const std::vector<double> factors = dropout_factors(call);
  Array y = *call.inputs[0];
  for (size_t i = 0; i < y.at.size(); ++i) y.at[i] *= factors[i];
  *outputs = {std::move(y)};
  if (call.node->outputs.size() > 1) {  // the mask, which nobody reads
    outputs->push_back(Array{call.inputs[0]->dims, factors});
  }
}

void dropout_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                      const std::vector<Array*>& grad_inputs) {
  if (grad_inputs[0] == nullptr) return;
  const std::vector<double> factors = dropout_factors(call);
  for (size_t i = 0; i < grad.at.size(); ++i) grad_inputs[0]->at[i] += grad.at[i] * factors[i];
}

const JudgeOp kOps[] = {
    binary<kAdd>("Add"),
    unary<kClip, clip_numbers>("Clip"),
    binary<kDiv>("Div"),
    {"Dropout", dropout_forward, dropout_backward, nullptr},
    unary<kHardSigmoid, hard_sigmoid_numbers>("HardSigmoid"),
    unary<kHardSwish>("HardSwish"),
    unary<kLeaky, leaky_numbers>("LeakyRelu"),
    binary<kMul>("Mul"),
    unary<kRelu>("Relu"),
    unary<kSigmoid>("Sigmoid"),
    binary<kSub>("Sub"),
    unary<kTanh>("Tanh"),
};

}  // namespace

std::span<const JudgeOp> elementwise_judges() { return kOps; }

}  // namespace ft::fuzz
