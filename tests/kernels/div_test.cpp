#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase div(const CaseInput& a, const CaseInput& b) { return {.op = "Div", .inputs = {a, b}}; }
CaseInput divisor(const Shape& shape) { return varied(shape, 0.6F, 2); }

}  // namespace

TEST_CASE("div: gradients, whichever operand is repeated") {
  check_gradient(div(varied({5, 3, 3, 7}), divisor({5, 3, 3, 7})));
  check_gradient(div(varied({5, 3, 7}), divisor({5, 1, 1})));
  check_gradient(div(varied({5, 1, 1}), divisor({5, 3, 7})));
  check_gradient(div(varied({37, 13}), divisor({13})));
  check_gradient(div(varied({}), divisor({7, 9})));
}

TEST_CASE("div: with a constant divisor a is not kept") {
  const OpCase op_case = div(varied({3, 5}), constant_scalar(3));
  check_gradient(op_case, kLinearGradient);
  CHECK(make_plan(op_case)->saved_inputs == 0b10);
}

}  // namespace ft
