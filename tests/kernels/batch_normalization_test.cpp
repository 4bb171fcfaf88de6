#include <array>
#include <cmath>
#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

using Floats = std::vector<float>;

OpCase batch_norm(const Shape& shape, int64_t channels, bool training, float low = -1,
                  float high = 1) {
  OpCase result{
      .op = "BatchNormalization",
      .inputs = {varied(shape, low, high), varied({channels}, 0.5F, 2), varied({channels}),
                 fixed({channels}, random_floats(7, 0, channels, -1, 1)),
                 fixed({channels}, random_floats(7, 1, channels, 0.5F, 2))}};
  if (training) {
    result.output_count = 3;
    result.with("training_mode", int64_t{1});
  }
  return result;
}

constexpr GradientOptions kNormGradient = {.step = 1e-2, .tolerance = 2e-3};

}  // namespace

TEST_CASE("batch normalization: gradient in training, frozen, and of rows {N, C}") {
  for (const bool training : {true, false}) {
    CAPTURE(training);
    check_gradient(batch_norm({12, 3, 7, 9}, 12, training), kNormGradient);
    check_gradient(batch_norm({17, 5, 1, 1}, 17, training), kNormGradient);
    check_gradient(batch_norm({3, 2, 11}, 3, training), kNormGradient);
    check_gradient(batch_norm({9, 7}, 7, training), kNormGradient);
    // Several chunks to a channel.
    check_gradient(batch_norm({2, 9, 31, 33}, 2, training), {.step = 2e-2, .tolerance = 5e-3});
  }
}

TEST_CASE("batch normalization: training uses the batch and moves the running statistics") {
  // Channel 0: 1 2 3 6, mean 3, population variance 3.5.
  OpCase one{.op = "BatchNormalization",
             .inputs = {varied({1, 2, 1, 2}, {1, 2, 3, 6}), varied({1}, Floats{2}),
                        varied({1}, Floats{0.5F}), fixed({1}, {10.0F}), fixed({1}, {20.0F})},
             .output_count = 3};
  one.with("training_mode", int64_t{1}).with("momentum", 0.75F).with("epsilon", 0.5F);
  const auto check = [](const Tensors& outputs) {
    for (size_t i = 0; i < 4; ++i) {
      const float x = std::array{1.0F, 2.0F, 3.0F, 6.0F}[i];
      CHECK(outputs[0][i] == doctest::Approx((x - 3) / 2 * 2 + 0.5));
    }
    CHECK(outputs[1][0] == doctest::Approx(0.75 * 10 + 0.25 * 3));
    CHECK(outputs[2][0] == doctest::Approx(0.75 * 20 + 0.25 * 3.5));
  };
  check(OpRunner(one, {}).forward({}));

  // Opset 13 says the same with five outputs and no attribute.
  OpCase old = one;
  old.attributes = {};
  old.with("momentum", 0.75F).with("epsilon", 0.5F);
  old.opset = 13;
  old.output_count = 5;
  OpRunner runner(old, {});
  CHECK(runner.plan().outputs[4].shape == Shape{1});
  check(runner.forward({}));
  CHECK(runner.backward({1, 0, 0, 0}, {true, true, true, false, false}) == [&] {
    OpRunner newer(one, {});
    newer.forward({});
    return newer.backward({1, 0, 0, 0}, {true, true, true, false, false});
  }());

  // Inference takes the running statistics, and moves nothing.
  const Tensors inference = OpRunner(one, {.mode = Mode::kInfer}).forward({});
  CHECK(inference[0][3] == doctest::Approx((6 - 10) / std::sqrt(20.5) * 2 + 0.5));
  CHECK(inference[1][0] == 10);
  CHECK(inference[2][0] == 20);
}

TEST_CASE("batch normalization: outputs that nobody wants may be null") {
  const OpCase one = batch_norm({3, 2, 2, 2}, 3, true);
  const KernelPlan plan = std::move(*make_plan(one));
  const std::vector<float> x = random_floats(1, 0, 24, -1, 1);
  const std::vector<float> three(3, 1.0F);
  std::vector<float> y(24, NAN);
  std::vector<float> stash(static_cast<size_t>(plan.stash_bytes / 4));
  const std::array<const void*, 5> inputs = {x.data(), three.data(), three.data(), three.data(),
                                             three.data()};
  const std::array<void*, 3> outputs = {y.data(), nullptr, nullptr};
  ThreadPool pool(1);
  plan.kernel->forward(
      {inputs, outputs, reinterpret_cast<std::byte*>(stash.data()), nullptr, &pool, {}});
  CHECK(std::isfinite(y[23]));
}

TEST_CASE("batch normalization: a mean far from 0 costs no accuracy") {
  // 1000 + u / 8, and 1 more in the first third, so that chunks have different means. The true
  // variance is that of the rounded numbers; sums of squares in single precision would lose it.
  const int64_t count = 50 * 31 * 33;
  std::vector<float> x = random_floats(3, 0, count, 0, 1);
  double mean = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = (i < x.size() / 3 ? 1001.0F : 1000.0F) + x[i] / 8;
    mean += static_cast<double>(x[i]);
  }
  mean /= static_cast<double>(count);
  double variance = 0;
  for (const float value : x) variance += (value - mean) * (value - mean);
  variance /= static_cast<double>(count);

  OpCase one = batch_norm({1, 50, 31, 33}, 1, true);
  one.inputs[0] = varied({1, 50, 31, 33}, x);
  one.with("momentum", 0.0F);
  const Tensors outputs = OpRunner(one, {}).forward({});
  CHECK(outputs[1][0] == doctest::Approx(mean).epsilon(1e-7));
  CHECK(outputs[2][0] == doctest::Approx(variance).epsilon(1e-5));
}

TEST_CASE("batch normalization: what does not fit is refused") {
  OpCase one = batch_norm({12, 3, 7, 9}, 12, true);
  one.inputs[1] = varied({11});
  CHECK(make_plan(one).status().message() ==
        "parameters or statistics of shape 11 do not fit the 12 channels of 3x12x7x9");
  CHECK_FALSE(make_plan(batch_norm({5}, 5, true)).ok());
}

}  // namespace ft
