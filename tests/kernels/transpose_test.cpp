#include <algorithm>
#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase transpose(const Shape& shape, const std::vector<int64_t>& perm) {
  OpCase op_case{.op = "Transpose", .inputs = {varied(shape)}};
  if (!perm.empty()) op_case.with("perm", perm);
  return op_case;
}

// Index by index, as ONNX defines it.
std::vector<float> expected(const std::vector<float>& x, const Shape& shape,
                            const std::vector<int64_t>& perm) {
  const int rank = shape.rank();
  std::vector<float> y;
  std::vector<int64_t> index(perm.size(), 0);  // of the output
  for (size_t i = 0; i < x.size(); ++i) {
    std::vector<int64_t> source(perm.size());
    for (size_t axis = 0; axis < perm.size(); ++axis) {
      source[static_cast<size_t>(perm[axis])] = index[axis];
    }
    int64_t offset = 0;
    for (int axis = 0; axis < rank; ++axis) offset = offset * shape.dim(axis) + source[axis];
    y.push_back(x[static_cast<size_t>(offset)]);
    for (size_t axis = perm.size(); axis-- > 0;) {
      if (++index[axis] < shape.dim(static_cast<int>(perm[axis]))) break;
      index[axis] = 0;
    }
  }
  return y;
}

void check_values(const Shape& shape, const std::vector<int64_t>& perm) {
  CAPTURE(to_string(shape));
  OpRunner runner(transpose(shape, perm), {});
  CHECK(runner.forward({})[0] == expected(runner.inputs()[0], shape, perm));
}

}  // namespace

TEST_CASE("transpose: every permutation of four axes") {
  std::vector<int64_t> perm = {0, 1, 2, 3};
  do {
    check_values({3, 2, 5, 7}, perm);
    check_values({3, 1, 5, 2}, perm);
    check_gradient(transpose({3, 2, 4, 5}, perm), kLinearGradient);
  } while (std::next_permutation(perm.begin(), perm.end()));
}

TEST_CASE("transpose: matrices and exchanged outer axes, beyond a tile and a task") {
  check_values({67, 131}, {1, 0});
  check_values({33, 1}, {1, 0});
  check_values({65, 67, 9}, {1, 0, 2});
  check_values({2, 5, 5000}, {1, 0, 2});
  check_values({3, 67, 45}, {0, 2, 1});
  check_values({2, 35, 3, 37}, {0, 3, 2, 1});
  check_gradient(transpose({67, 131}, {}), kLinearGradient);
  check_gradient(transpose({7, 5, 3, 3}, {1, 0, 2, 3}), kLinearGradient);
}

TEST_CASE("transpose: moving axes of 1 only is a view") {
  CHECK(make_plan(transpose({5, 1, 7}, {1, 0, 2}))->is_view);
  CHECK(make_plan(transpose({5, 1, 7}, {1, 0, 2}))->outputs[0].shape == Shape{1, 5, 7});
  CHECK(make_plan(transpose({5, 7}, {0, 1}))->is_view);
  CHECK_FALSE(make_plan(transpose({5, 7}, {1, 0}))->is_view);
}

TEST_CASE("transpose: a perm that is none is refused") {
  CHECK_FALSE(make_plan(transpose({5, 7}, {0, 0})).ok());
  CHECK_FALSE(make_plan(transpose({5, 7}, {0, 2})).ok());
  CHECK_FALSE(make_plan(transpose({5, 7}, {0, 1, 2})).ok());
}

}  // namespace ft
