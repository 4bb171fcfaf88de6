#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase add(const CaseInput& a, const CaseInput& b) { return {.op = "Add", .inputs = {a, b}}; }

}  // namespace

TEST_CASE("add: gradients of equal shapes, a channel, a bias, scalars and mixed repetitions") {
  check_gradient(add(varied({5, 3, 3, 7}), varied({5, 3, 3, 7})), kLinearGradient);
  check_gradient(add(varied({5, 3, 3, 7}), varied({5, 1, 1, 1})), kLinearGradient);
  check_gradient(add(varied({37, 13}), varied({13})), kLinearGradient);
  check_gradient(add(varied({}), varied({7, 9})), kLinearGradient);
  check_gradient(add(varied({}), varied({})), kLinearGradient);
  check_gradient(add(varied({3, 1, 5, 1}), varied({4, 1, 6})), kLinearGradient);
  check_gradient(add(varied({2, 3, 1}), varied({2, 1, 5})), kLinearGradient);
  check_gradient(add(varied({1, 1}), varied({1, 1, 1})), kLinearGradient);
}

TEST_CASE("add: rows longer than a task, sums longer than a chunk") {
  check_gradient(add(varied({2, 20001}), varied({2, 1})), kLinearGradient);
  check_gradient(add(varied({2, 20001}), varied({20001})), kLinearGradient);
  check_gradient(add(varied({71, 301}), varied({301})), kLinearGradient);
}

TEST_CASE("add: values of a broadcast") {
  OpRunner runner(add(varied({2, 1}, {1, 2}), varied({3}, {10, 20, 30})), {});
  CHECK(runner.plan().outputs[0].shape == Shape{2, 3});
  CHECK(runner.forward({})[0] == std::vector<float>{11, 21, 31, 12, 22, 32});
  CHECK(runner.backward({1, 2, 3, 4, 5, 6}, {true, true}) == Tensors{{6, 15}, {5, 7, 9}});
}

TEST_CASE("add: a repeated first operand is not written over") {
  CHECK_FALSE(make_plan(add(varied({3}), varied({2, 3})))->in_place);
  CHECK(make_plan(add(varied({2, 3}), varied({3})))->in_place);
}

TEST_CASE("add: shapes that do not fit are named") {
  const auto plan = make_plan(add(varied({2, 3}), varied({2})));
  REQUIRE_FALSE(plan.ok());
  CHECK(plan.status().message() == "2x3 and 2 do not broadcast");
  CHECK_FALSE(make_plan(add(varied({2}), absent())).ok());
  CHECK_FALSE(make_plan(add(varied({2}), constant({1, 2}))).ok());
}

}  // namespace ft
