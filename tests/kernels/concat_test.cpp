#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase concat(const std::vector<Shape>& shapes, int64_t axis) {
  OpCase op_case{.op = "Concat"};
  for (const Shape& shape : shapes) op_case.inputs.push_back(varied(shape));
  return op_case.with("axis", axis);
}

}  // namespace

TEST_CASE("concat: gradients on the first, an inner and the last axis") {
  check_gradient(concat({{5, 3, 7}, {1, 3, 7}, {2, 3, 7}}, 0), kLinearGradient);
  check_gradient(concat({{3, 5, 7}, {3, 1, 7}, {3, 2, 7}}, 1), kLinearGradient);
  check_gradient(concat({{3, 5, 7}, {3, 5, 1}}, -1), kLinearGradient);
  check_gradient(concat({{3, 5}}, 1), kLinearGradient);
  check_gradient(concat({{2, 17001}, {2, 3}}, 1), kLinearGradient);
}

TEST_CASE("concat: values") {
  OpCase op_case = concat({{2, 1}, {2, 2}}, 1);
  op_case.inputs = {varied({2, 1}, {1, 2}), varied({2, 2}, {10, 11, 20, 21})};
  CHECK(OpRunner(op_case, {}).forward({})[0] == std::vector<float>{1, 10, 11, 2, 20, 21});
}

TEST_CASE("concat: shapes that differ elsewhere are named") {
  CHECK(make_plan(concat({{2, 3}, {2, 4}}, 0)).status().message() ==
        "2x3 and 2x4 differ in more than axis 0");
  CHECK_FALSE(make_plan(concat({{2, 3}, {2}}, 0)).ok());
  CHECK_FALSE(make_plan(concat({{2, 3}}, 2)).ok());
  CHECK_FALSE(make_plan({.op = "Concat", .inputs = {varied({2})}}).ok());
}

}  // namespace ft
