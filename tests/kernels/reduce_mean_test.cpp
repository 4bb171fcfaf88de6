#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase reduce_mean(const Shape& shape, const std::vector<int64_t>& axes, int64_t keep_dims = 1) {
  OpCase op_case{.op = "ReduceMean", .inputs = {varied(shape)}};
  if (!axes.empty()) op_case.with("axes", axes);
  return op_case.with("keepdims", keep_dims);
}

}  // namespace

TEST_CASE("reduce_mean: gradients over inner, outer, both and all axes") {
  check_gradient(reduce_mean({3, 5, 5, 9}, {2, 3}), kLinearGradient);
  check_gradient(reduce_mean({37, 3, 7}, {0}), kLinearGradient);
  check_gradient(reduce_mean({3, 5, 7}, {0, 2}), kLinearGradient);
  check_gradient(reduce_mean({3, 5, 7, 4}, {1, -1}, 0), kLinearGradient);
  check_gradient(reduce_mean({3, 5, 7, 4}, {0, 2}, 0), kLinearGradient);
  check_gradient(reduce_mean({3, 5, 7}, {}), kLinearGradient);
  check_gradient(reduce_mean({7, 2500}, {1}), kLinearGradient);
  check_gradient(reduce_mean({1, 1}, {1}), kLinearGradient);
}

TEST_CASE("reduce_mean: values and shapes") {
  OpCase op_case = reduce_mean({2, 3}, {1}, 0);
  op_case.inputs = {varied({2, 3}, {1, 2, 3, 4, 5, 9})};
  CHECK(OpRunner(op_case, {}).forward({})[0] == std::vector<float>{2, 6});
  CHECK(make_plan(op_case)->outputs[0].shape == Shape{2});
  CHECK(make_plan(reduce_mean({2, 3}, {-2}))->outputs[0].shape == Shape{1, 3});
  CHECK(make_plan(reduce_mean({2, 3}, {}, 0))->outputs[0].shape == Shape{});
  CHECK_FALSE(make_plan(reduce_mean({2, 3}, {2})).ok());
  CHECK_FALSE(make_plan(reduce_mean({2, 3}, {1, -1})).ok());
}

TEST_CASE("reduce_mean: a long sum is as exact as a short one") {
  OpCase op_case = reduce_mean({100003, 1}, {0});
  op_case.inputs = {varied({100003, 1}, std::vector<float>(100003, 0.1F))};
  CHECK(OpRunner(op_case, {}).forward({})[0][0] == doctest::Approx(0.1F).epsilon(1e-6));
}

}  // namespace ft
