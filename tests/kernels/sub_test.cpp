#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase sub(const CaseInput& a, const CaseInput& b) { return {.op = "Sub", .inputs = {a, b}}; }

}  // namespace

TEST_CASE("sub: gradients, whichever operand is repeated") {
  check_gradient(sub(varied({5, 3, 3, 7}), varied({5, 3, 3, 7})), kLinearGradient);
  check_gradient(sub(varied({5, 3, 7}), varied({5, 1, 1})), kLinearGradient);
  check_gradient(sub(varied({5, 1, 1}), varied({5, 3, 7})), kLinearGradient);
  check_gradient(sub(varied({13}), varied({37, 13})), kLinearGradient);
}

TEST_CASE("sub: values") {
  OpRunner runner(sub(varied({2, 1}, {1, 2}), varied({2}, {10, 20})), {});
  CHECK(runner.forward({})[0] == std::vector<float>{-9, -19, -8, -18});
  CHECK(runner.plan().saved_inputs == 0);
}

}  // namespace ft
