#include "kernels/loss.h"

#include <cmath>
#include <doctest/doctest.h>
#include <limits>

#include "tests/kernels/op_case.h"

namespace ft {
namespace {

constexpr int64_t kRows = 7;
constexpr int64_t kClasses = 11;
const std::vector<int64_t> kLabels = {0, 10, 3, 3, 7, 1, 5};

LossResult cross_entropy_of(const std::vector<float>& logits, const std::vector<int64_t>& labels,
                            std::vector<float>* grad, int threads = 1, float scale = 1) {
  ThreadPool pool(threads);
  const auto rows = static_cast<int64_t>(labels.size());
  if (grad != nullptr) grad->assign(logits.size(), std::numeric_limits<float>::quiet_NaN());
  return cross_entropy(logits.data(), labels.data(), rows,
                       static_cast<int64_t>(logits.size()) / rows, scale,
                       grad == nullptr ? nullptr : grad->data(), &pool);
}

// Finite differences of loss(values) against grad, element by element.
template <typename Loss>
void check_loss_gradient(std::vector<float> values, const std::vector<float>& grad, float scale,
                         const Loss& loss) {
  constexpr float kStep = 1e-3F;
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = values[i];
    values[i] = value + kStep;
    const double above = loss(values);
    values[i] = value - kStep;
    const double below = loss(values);
    values[i] = value;
    CHECK(std::abs((above - below) / (2 * kStep) * scale - grad[i]) < 3e-4 * scale);
  }
}

}  // namespace

TEST_CASE("cross_entropy: gradient, scaled") {
  const auto logits = random_floats(1, 0, kRows * kClasses, -3, 3);
  std::vector<float> grad;
  cross_entropy_of(logits, kLabels, &grad, 1, 0.25F);
  check_loss_gradient(logits, grad, 0.25F, [](const std::vector<float>& values) {
    return cross_entropy_of(values, kLabels, nullptr).loss_sum;
  });
}

TEST_CASE("cross_entropy: known values, and no overflow") {
  CHECK(cross_entropy_of({0, 0, 0, 0}, {2}, nullptr).loss_sum == doctest::Approx(std::log(4.0)));
  std::vector<float> grad;
  const LossResult result = cross_entropy_of({1000, -1000, 999}, {1}, &grad);
  CHECK(result.loss_sum == doctest::Approx(2000 + std::log1p(std::exp(-1.0))));
  CHECK(grad[1] == -1);
  CHECK(grad[0] + grad[2] == doctest::Approx(1));
}

TEST_CASE("cross_entropy: correct counts the first of equal logits") {
  CHECK(cross_entropy_of({1, 2, 2, 0, 0, 0}, {1, 0}, nullptr).correct == 2);
  CHECK(cross_entropy_of({1, 2, 2, 0, 0, 0}, {2, 1}, nullptr).correct == 0);
}

TEST_CASE("cross_entropy: a label outside the classes is told, not read") {
  std::vector<float> grad;
  CHECK(cross_entropy_of({1, 2, 3, 4}, {0, 1}, nullptr).bad_row == -1);
  const LossResult result = cross_entropy_of({1, 2, 3, 4, 5, 6}, {0, 2, -1}, &grad);
  CHECK(result.bad_row == 1);
  CHECK(std::vector<float>(grad.begin() + 2, grad.end()) == std::vector<float>(4, 0.0F));
}

TEST_CASE("cross_entropy: the same bits with any number of threads") {
  constexpr int64_t kManyRows = 301;
  constexpr int64_t kManyClasses = 997;
  const auto logits = random_floats(2, 0, kManyRows * kManyClasses, -9, 9);
  std::vector<int64_t> labels;
  for (int64_t row = 0; row < kManyRows; ++row) labels.push_back(row * 31 % kManyClasses);
  std::vector<float> grad;
  std::vector<float> grad_of_three;
  const LossResult one = cross_entropy_of(logits, labels, &grad, 1);
  const LossResult three = cross_entropy_of(logits, labels, &grad_of_three, 3);
  CHECK(one.loss_sum == three.loss_sum);
  CHECK(one.correct == three.correct);
  CHECK(grad == grad_of_three);
}

TEST_CASE("cross_entropy: micro-batches add up to the batch") {
  const auto logits = random_floats(3, 0, 4 * kClasses, -3, 3);
  const std::vector<int64_t> labels = {1, 2, 3, 4};
  std::vector<float> grad;
  std::vector<float> grad_of_half;
  cross_entropy_of(logits, labels, &grad, 1, 0.25F);
  cross_entropy_of({logits.begin() + 2 * kClasses, logits.end()}, {3, 4}, &grad_of_half, 1, 0.25F);
  CHECK(std::vector<float>(grad.begin() + 2 * kClasses, grad.end()) == grad_of_half);
}

TEST_CASE("mean_squared_error: values and gradient") {
  ThreadPool pool(1);
  const std::vector<float> output = {1, 2, 3, 4};
  const std::vector<float> target = {1, 0, 0, 4};
  std::vector<float> grad(4);
  const LossResult result =
      mean_squared_error(output.data(), target.data(), 2, 2, 0.5F, grad.data(), &pool);
  CHECK(result.loss_sum == 2 + 4.5);
  CHECK(result.correct == 0);
  CHECK(grad == std::vector<float>{0, 1, 1.5F, 0});

  const auto x = random_floats(4, 0, kRows * kClasses, -1, 1);
  const auto t = random_floats(4, 1, kRows * kClasses, -1, 1);
  std::vector<float> random_grad(x.size());
  mean_squared_error(x.data(), t.data(), kRows, kClasses, 0.125F, random_grad.data(), &pool);
  check_loss_gradient(x, random_grad, 0.125F, [&](const std::vector<float>& values) {
    return mean_squared_error(values.data(), t.data(), kRows, kClasses, 1, nullptr, &pool).loss_sum;
  });
}

}  // namespace ft
