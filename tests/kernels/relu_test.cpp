#include <cmath>
#include <doctest/doctest.h>
#include <limits>

#include "tests/kernels/gradient_check.h"

namespace ft {

TEST_CASE("relu: gradient") {
  check_gradient({.op = "Relu", .inputs = {varied({5, 3, 3, 7})}}, kKinkedGradient);
}

TEST_CASE("relu: nothing passes at 0, NaN stays") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  OpRunner runner({.op = "Relu", .inputs = {varied({4}, {0.0F, -1.0F, 2.0F, nan})}}, {});
  const auto output = runner.forward({})[0];
  CHECK(output[1] == 0);
  CHECK(output[2] == 2);
  CHECK(std::isnan(output[3]));
  CHECK(runner.backward({1, 1, 1, 1}, {true})[0][0] == 0);
}

}  // namespace ft
