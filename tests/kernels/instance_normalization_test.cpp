#include <cmath>
#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase instance_norm(const Shape& shape, int64_t channels) {
  return {.op = "InstanceNormalization",
          .inputs = {varied(shape), varied({channels}, 0.5F, 2), varied({channels})}};
}

constexpr GradientOptions kNormGradient = {.step = 1e-2, .tolerance = 2e-3};

}  // namespace

TEST_CASE("instance normalization: gradients of maps, rows and several chunks") {
  check_gradient(instance_norm({12, 3, 7, 9}, 12), kNormGradient);
  check_gradient(instance_norm({3, 5, 11}, 3), kNormGradient);
  check_gradient(instance_norm({5, 1, 4, 4}, 5), kNormGradient);
  check_gradient(instance_norm({2, 2, 71, 67}, 2), {.step = 2e-2, .tolerance = 5e-3});
}

TEST_CASE("instance normalization: each channel of each image by itself, in both modes") {
  // Channel 0 of two images: 1 3 and 10 30; means 2 and 20, variances 1 and 100.
  OpCase one{.op = "InstanceNormalization",
             .inputs = {varied({1, 2, 1, 2}, {1, 3, 10, 30}), varied({1}, std::vector<float>{2}),
                        varied({1}, std::vector<float>{0.5F})}};
  one.with("epsilon", 3.0F);
  for (const Mode mode : {Mode::kTrain, Mode::kInfer}) {
    const std::vector<float> y = OpRunner(one, {.mode = mode}).forward({})[0];
    CHECK(y[0] == doctest::Approx(0.5 - 2 * 0.5));
    CHECK(y[1] == doctest::Approx(0.5 + 2 * 0.5));
    CHECK(y[2] == doctest::Approx(0.5 - 2 * 10 / std::sqrt(103.0)));
    CHECK(y[3] == doctest::Approx(0.5 + 2 * 10 / std::sqrt(103.0)));
  }
}

TEST_CASE("instance normalization: what does not fit is refused") {
  CHECK(make_plan(instance_norm({12, 3, 7, 9}, 11)).status().message() ==
        "parameters of shape 11 do not fit the 12 channels of 3x12x7x9");
  CHECK_FALSE(make_plan(instance_norm({5, 3}, 3)).ok());
  CHECK_FALSE(make_plan(instance_norm({5, 3, 0}, 5)).ok());
}

}  // namespace ft
