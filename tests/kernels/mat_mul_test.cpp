#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase mat_mul(const Shape& a, const Shape& b) {
  return {.op = "MatMul", .inputs = {varied(a), varied(b)}};
}

}  // namespace

TEST_CASE("mat_mul: gradients of matrices, shared right sides and batches") {
  check_gradient(mat_mul({7, 13}, {13, 11}), kLinearGradient);
  check_gradient(mat_mul({3, 5, 7}, {7, 9}), kLinearGradient);
  check_gradient(mat_mul({3, 5, 7}, {1, 7, 9}), kLinearGradient);
  check_gradient(mat_mul({3, 5, 7}, {3, 7, 4}), kLinearGradient);
  check_gradient(mat_mul({1500, 2, 3}, {3, 5}), kLinearGradient);
}

TEST_CASE("mat_mul: gradients of broadcast batches") {
  check_gradient(mat_mul({5, 7}, {3, 7, 4}), kLinearGradient);
  check_gradient(mat_mul({2, 3, 5, 7}, {3, 7, 4}), kLinearGradient);
  check_gradient(mat_mul({2, 1, 5, 7}, {1, 3, 7, 4}), kLinearGradient);
  check_gradient(mat_mul({2, 1, 5, 7}, {4, 2, 3, 7, 4}), kLinearGradient);
}

TEST_CASE("mat_mul: which matrices meet") {
  // Matrices of one element: their product is that of a broadcast multiplication.
  OpCase op_case = mat_mul({2, 1, 1, 1}, {3, 1, 1});
  op_case.inputs = {varied({2, 1, 1, 1}, {1, 10}), varied({3, 1, 1}, {1, 2, 3})};
  OpRunner runner(op_case, {});
  CHECK(runner.plan().outputs[0].shape == Shape{2, 3, 1, 1});
  CHECK(runner.forward({})[0] == std::vector<float>{1, 2, 3, 10, 20, 30});
}

TEST_CASE("mat_mul: shapes that do not fit are named") {
  CHECK(make_plan(mat_mul({3, 5}, {4, 5})).status().message() ==
        "3x5 times 4x5: the inner dimensions differ");
  CHECK_FALSE(make_plan(mat_mul({5}, {5, 4})).ok());
  CHECK_FALSE(make_plan(mat_mul({2, 3, 5}, {3, 5, 4})).ok());
}

}  // namespace ft
