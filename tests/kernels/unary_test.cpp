#include <cmath>
#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase unary(const char* op, float low, float high) {
  return {.op = op, .inputs = {varied({5, 3, 3, 7}, low, high)}};
}

float value_at(const OpCase& op_case, float x) {
  OpCase single = op_case;
  single.inputs = {varied({1}, {x})};
  return OpRunner(single, {}).forward({})[0][0];
}

}  // namespace

TEST_CASE("unary: long arrays are cut into tasks") {
  OpRunner runner({.op = "Sigmoid", .inputs = {varied({3, 16385})}}, {.threads = 3});
  const auto y = runner.forward({})[0];
  const auto& x = runner.inputs()[0];
  for (size_t i = 0; i < x.size(); i += 997) CHECK(y[i] == 1 / (1 + std::exp(-x[i])));
  CHECK(y.back() == 1 / (1 + std::exp(-x.back())));
}

TEST_CASE("leaky_relu: gradients, with a negative alpha too") {
  check_gradient(unary("LeakyRelu", -1, 1), kKinkedGradient);
  check_gradient(unary("LeakyRelu", -1, 1).with("alpha", 0.3F), kKinkedGradient);
  check_gradient(unary("LeakyRelu", -1, 1).with("alpha", -0.5F), kKinkedGradient);
  CHECK(make_plan(unary("LeakyRelu", -1, 1).with("alpha", -0.5F))->saved_inputs == 1);
  CHECK(value_at(unary("LeakyRelu", 0, 0), -2) == doctest::Approx(-0.02));
}

TEST_CASE("sigmoid: gradient, and no NaN far out") {
  check_gradient(unary("Sigmoid", -5, 5));
  CHECK(value_at(unary("Sigmoid", 0, 0), -200) == 0);
  CHECK(value_at(unary("Sigmoid", 0, 0), 200) == 1);
}

TEST_CASE("tanh: gradient") { check_gradient(unary("Tanh", -2, 2)); }

TEST_CASE("hard_sigmoid: gradients") {
  GradientOptions options = kKinkedGradient;
  options.step = 1e-2;
  check_gradient(unary("HardSigmoid", -5, 5), options);
  check_gradient(unary("HardSigmoid", -5, 5).with("alpha", 0.4F).with("beta", 0.3F), options);
}

TEST_CASE("hard_swish: gradient and values at its kinks") {
  GradientOptions options = kKinkedGradient;
  options.step = 1e-2;
  check_gradient(unary("HardSwish", -5, 5), options);
  CHECK(value_at(unary("HardSwish", 0, 0), -3) == 0);
  CHECK(value_at(unary("HardSwish", 0, 0), 3) == doctest::Approx(3));
  CHECK(value_at(unary("HardSwish", 0, 0), -1.5F) == doctest::Approx(-0.375));
}

TEST_CASE("unary: an attribute of another type is refused by name") {
  const auto plan = make_plan(unary("LeakyRelu", -1, 1).with("alpha", int64_t{1}));
  REQUIRE_FALSE(plan.ok());
  CHECK(plan.status().message().find("'alpha'") != std::string::npos);
}

}  // namespace ft
