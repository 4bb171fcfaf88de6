// Operators that only rename a shape: Reshape, Flatten, Squeeze, Unsqueeze, Identity.

#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase view(const char* op, const Shape& shape) { return {.op = op, .inputs = {varied(shape)}}; }

OpCase view(const char* op, const Shape& shape, const std::vector<int64_t>& numbers) {
  return {.op = op, .inputs = {varied(shape), constant(numbers)}};
}

// "refused" when it is.
std::string shape_after(const OpCase& op_case) {
  const auto plan = make_plan(op_case);
  if (!plan.ok()) return "refused";
  CHECK(plan->is_view);
  return to_string(plan->outputs[0].shape);
}

std::string message_of(const OpCase& op_case) { return make_plan(op_case).status().message(); }

}  // namespace

TEST_CASE("reshape: 0 keeps, -1 takes the rest") {
  CHECK(shape_after(view("Reshape", {6, 5, 3}, {6, 15})) == "6x15");
  CHECK(shape_after(view("Reshape", {6, 5, 3}, {0, -1})) == "6x15");
  CHECK(shape_after(view("Reshape", {6, 5, 3}, {-1, 0, 1})) == "18x5x1");
  CHECK(shape_after(view("Reshape", {6, 5, 3}, {-1})) == "90");
  CHECK(shape_after(view("Reshape", {1}, {})) == "scalar");
  check_gradient(view("Reshape", {6, 5, 3}, {0, -1}), kLinearGradient);
}

TEST_CASE("reshape: what does not fit is told with its numbers") {
  CHECK(message_of(view("Reshape", {6, 5}, {4, -1})) ==
        "30 elements (6x5) do not fit shape [4, -1]");
  CHECK(message_of(view("Reshape", {6, 5}, {7, 5})) == "30 elements (6x5) do not fit shape [7, 5]");
  CHECK(message_of(view("Reshape", {6, 5}, {6, 5, 0})) ==
        "shape [6, 5, 0] keeps dimension 2, which 6x5 does not have");
  CHECK(message_of(view("Reshape", {6, 5}, {-1, -1})) ==
        "shape [-1, -1]: a dimension is at least -1, and only one is -1");
  CHECK(shape_after(view("Reshape", {6, 5}, {-2, 5})) == "refused");
  CHECK(shape_after(view("Reshape", {6, 5}, {int64_t{1} << 40, int64_t{1} << 40})) == "refused");
  CHECK(shape_after(view("Reshape", {6, 5}, {int64_t{1} << 40, -1})) == "refused");
  CHECK(shape_after(view("Reshape", {1}, {1, 1, 1, 1, 1, 1, 1, 1, 1})) == "refused");
}

TEST_CASE("reshape: a computed shape is refused") {
  const OpCase computed = {.op = "Reshape", .inputs = {varied({6}), varied({2})}};
  CHECK(message_of(computed) ==
        "input 'shape' must be a constant; here it is computed by the model");
}

TEST_CASE("reshape: allowzero") {
  CHECK(shape_after(view("Reshape", {6, 0}, {0, 6}).with("allowzero", int64_t{1})) == "0x6");
  CHECK(shape_after(view("Reshape", {6, 5}, {0, 5}).with("allowzero", int64_t{1})) == "refused");
}

TEST_CASE("flatten: axes from both ends") {
  CHECK(shape_after(view("Flatten", {2, 3, 4, 5})) == "2x60");
  CHECK(shape_after(view("Flatten", {2, 3, 4, 5}).with("axis", int64_t{0})) == "1x120");
  CHECK(shape_after(view("Flatten", {2, 3, 4, 5}).with("axis", int64_t{3})) == "24x5");
  CHECK(shape_after(view("Flatten", {2, 3, 4, 5}).with("axis", int64_t{4})) == "120x1");
  CHECK(shape_after(view("Flatten", {2, 3, 4, 5}).with("axis", int64_t{-1})) == "24x5");
  CHECK(message_of(view("Flatten", {2, 3}).with("axis", int64_t{5})) ==
        "axis 5 does not exist in rank 2");
  check_gradient(view("Flatten", {2, 3, 5}), kLinearGradient);
}

TEST_CASE("squeeze: given axes, or all of 1") {
  CHECK(shape_after(view("Squeeze", {1, 3, 1, 5})) == "3x5");
  CHECK(shape_after(view("Squeeze", {1, 3, 1, 5}, {2})) == "1x3x5");
  CHECK(shape_after(view("Squeeze", {1, 3, 1, 5}, {-4, 2})) == "3x5");
  CHECK(message_of(view("Squeeze", {1, 3}, {1})) == "dimension 1 of 1x3 is 3, not 1");
  CHECK(shape_after(view("Squeeze", {1, 3}, {2})) == "refused");
}

TEST_CASE("unsqueeze: axes speak of the output") {
  CHECK(shape_after(view("Unsqueeze", {3, 5}, {0, 2})) == "1x3x1x5");
  CHECK(shape_after(view("Unsqueeze", {3, 5}, {-1})) == "3x5x1");
  CHECK(message_of(view("Unsqueeze", {3, 5}, {0, 0})) == "axis 0 stands twice in 'axes'");
  CHECK(shape_after(view("Unsqueeze", {3, 5}, {4})) == "refused");
  CHECK(shape_after(view("Unsqueeze", {3, 5}, {0, 1, 2, 3, 4, 5, 6})) == "refused");
}

TEST_CASE("identity: a view of anything") {
  CHECK(shape_after(view("Identity", {3, 5})) == "3x5");
  check_gradient(view("Identity", {3, 5}), kLinearGradient);
}

}  // namespace ft
