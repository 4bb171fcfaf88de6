#include <cmath>
#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase on_axis(const char* op, const Shape& shape, int64_t axis) {
  OpCase op_case{.op = op, .inputs = {varied(shape, -2, 2)}};
  return op_case.with("axis", axis);
}

}  // namespace

TEST_CASE("softmax: gradients on the last, an inner and the first axis") {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    check_gradient(on_axis(op, {6, 11}, -1));
    check_gradient(on_axis(op, {3, 5, 7}, 1));
    check_gradient(on_axis(op, {5, 3, 67}, 0));
    check_gradient({.op = op, .inputs = {varied({6, 11})}});
    check_gradient(on_axis(op, {301, 67}, 1));
  }
}

TEST_CASE("softmax: sums to 1, and large values do not overflow") {
  OpCase op_case = on_axis("Softmax", {1, 3}, 1);
  op_case.inputs = {varied({1, 3}, {1000, 1000, -1000})};
  CHECK(OpRunner(op_case, {}).forward({})[0] == std::vector<float>{0.5F, 0.5F, 0});
  op_case.op = "LogSoftmax";
  const auto y = OpRunner(op_case, {}).forward({})[0];
  CHECK(y[0] == doctest::Approx(-std::log(2.0)));
  CHECK(y[2] == doctest::Approx(-2000 - std::log(2.0)));
}

TEST_CASE("softmax: an axis that does not exist is refused") {
  CHECK_FALSE(make_plan(on_axis("Softmax", {6, 11}, 2)).ok());
  CHECK_FALSE(make_plan(on_axis("LogSoftmax", {6, 11}, -3)).ok());
}

}  // namespace ft
