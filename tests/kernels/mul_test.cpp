#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase mul(const CaseInput& a, const CaseInput& b) { return {.op = "Mul", .inputs = {a, b}}; }

}  // namespace

TEST_CASE("mul: gradients, whichever operand is repeated") {
  check_gradient(mul(varied({5, 3, 3, 7}), varied({5, 3, 3, 7})), kLinearGradient);
  check_gradient(mul(varied({5, 3, 7}), varied({5, 1, 1})), kLinearGradient);
  check_gradient(mul(varied({5, 3, 1}), varied({5, 3, 7})), kLinearGradient);
  check_gradient(mul(varied({13}), varied({37, 13})), kLinearGradient);
  check_gradient(mul(varied({5, 1, 3, 1}), varied({4, 1, 7})), kLinearGradient);
  check_gradient(mul(varied({3, 17000}), varied({1})), kLinearGradient);
}

TEST_CASE("mul: a constant operand spares the other one") {
  const OpCase op_case = mul(varied({3, 5}), constant_scalar(0.25F));
  check_gradient(op_case, kLinearGradient);
  CHECK(make_plan(op_case)->saved_inputs == 0b10);
  CHECK(make_plan(mul(constant_scalar(2), varied({3, 5})))->saved_inputs == 0b01);
  CHECK(make_plan(mul(varied({3}), varied({3})))->saved_inputs == 0b11);
}

}  // namespace ft
