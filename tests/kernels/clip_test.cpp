#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase clip(const CaseInput& x, const CaseInput& low, const CaseInput& high) {
  return {.op = "Clip", .inputs = {x, low, high}};
}

}  // namespace

TEST_CASE("clip: gradients with both bounds, one and none") {
  const CaseInput x = varied({5, 3, 3, 7}, -3, 9);
  GradientOptions options = kKinkedGradient;
  options.step = 1e-2;  // the kinks are rarer here
  check_gradient(clip(x, constant_scalar(0), constant_scalar(6)), options);
  check_gradient(clip(x, absent(), constant_scalar(6)), options);
  check_gradient(clip(x, constant_scalar(1), absent()), options);
  check_gradient({.op = "Clip", .inputs = {x}}, kLinearGradient);
  check_gradient({.op = "Clip", .inputs = {x, constant_scalar(1)}}, options);
}

TEST_CASE("clip: nothing passes on a bound") {
  OpRunner runner(clip(varied({5}, {-1, 0, 3, 6, 7}), constant_scalar(0), constant_scalar(6)), {});
  CHECK(runner.forward({})[0] == std::vector<float>{0, 0, 3, 6, 6});
  CHECK(runner.backward({1, 1, 1, 1, 1}, {true, false, false})[0] ==
        std::vector<float>{0, 0, 1, 0, 0});
}

TEST_CASE("clip: bounds that are no constant scalars are refused") {
  const auto computed = make_plan(clip(varied({3}), varied({}), absent()));
  REQUIRE_FALSE(computed.ok());
  CHECK(computed.status().message() ==
        "input 'min' must be a constant; here it is computed by the model");
  CHECK_FALSE(make_plan(clip(varied({3}), absent(), constant(Shape{2}, {1, 2}))).ok());
}

}  // namespace ft
