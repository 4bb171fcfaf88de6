#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase gemm_case(const std::vector<Shape>& shapes, int64_t transpose_a = 0,
                 int64_t transpose_b = 0) {
  OpCase op_case{.op = "Gemm"};
  for (const Shape& shape : shapes) op_case.inputs.push_back(varied(shape));
  return op_case.with("transA", transpose_a).with("transB", transpose_b);
}

}  // namespace

TEST_CASE("gemm: gradients for every pair of transpositions, with alpha and beta") {
  for (const int64_t transpose_a : {0, 1}) {
    for (const int64_t transpose_b : {0, 1}) {
      CAPTURE(transpose_a);
      CAPTURE(transpose_b);
      const Shape a = transpose_a != 0 ? Shape{13, 7} : Shape{7, 13};
      const Shape b = transpose_b != 0 ? Shape{11, 13} : Shape{13, 11};
      check_gradient(gemm_case({a, b, {11}}, transpose_a, transpose_b), kLinearGradient);
      check_gradient(gemm_case({a, b}, transpose_a, transpose_b), kLinearGradient);
      check_gradient(gemm_case({a, b, {7, 1}}, transpose_a, transpose_b)
                         .with("alpha", 0.5F)
                         .with("beta", 3.0F),
                     kLinearGradient);
    }
  }
}

TEST_CASE("gemm: gradients of every form of C") {
  for (const Shape& c :
       {Shape{}, Shape{1}, Shape{11}, Shape{1, 11}, Shape{7, 1}, Shape{7, 11}, Shape{1, 1}}) {
    CAPTURE(to_string(c));
    check_gradient(gemm_case({{7, 13}, {13, 11}, c}).with("beta", -2.0F), kLinearGradient);
  }
  check_gradient(gemm_case({{1, 13}, {13, 11}, {11}}), kLinearGradient);
  check_gradient(gemm_case({{7, 13}, {13, 1}, {1}}), kLinearGradient);
}

TEST_CASE("gemm: a linear layer with many rows, and one with many outputs") {
  check_gradient(gemm_case({{2311, 5}, {3, 5}, {3}}, 0, 1), kLinearGradient);
  check_gradient(gemm_case({{5, 33}, {999, 33}, {999}}, 0, 1), kLinearGradient);
}

TEST_CASE("gemm: an absent C") {
  OpCase op_case = gemm_case({{3, 5}, {5, 7}});
  op_case.inputs.push_back(absent());
  check_gradient(op_case, kLinearGradient);
}

TEST_CASE("gemm: shapes that do not fit are named") {
  CHECK(make_plan(gemm_case({{3, 5}, {4, 7}})).status().message() ==
        "A 3x5 and B 4x7 do not fit (transA=0, transB=0)");
  CHECK(make_plan(gemm_case({{3, 5}, {5, 7}, {3}})).status().message() ==
        "C 3 does not broadcast to 3x7");
  CHECK_FALSE(make_plan(gemm_case({{3, 5}, {5, 7}, {1, 3, 7}})).ok());
  CHECK_FALSE(make_plan(gemm_case({{1, 5}, {5, 7}, {3, 7}})).ok());
  CHECK_FALSE(make_plan(gemm_case({{2, 3, 5}, {5, 7}})).ok());
}

}  // namespace ft
