#include <algorithm>
#include <cmath>
#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

OpCase dropout(const CaseInput& x, float ratio, bool is_training = true) {
  return {.op = "Dropout", .inputs = {x, constant_scalar(ratio), constant_flag(is_training)}};
}

CaseInput ones(const Shape& shape) {
  return varied(shape, std::vector<float>(static_cast<size_t>(shape.element_count()), 1.0F));
}

std::vector<float> mask(const Shape& shape, const StepId& step, uint32_t node = 3) {
  OpCase op_case = dropout(ones(shape), 0.5F);
  op_case.node = node;
  op_case.step = step;
  return OpRunner(op_case, {}).forward({})[0];
}

}  // namespace

TEST_CASE("dropout: gradient of matrices and maps") {
  check_gradient(dropout(varied({7, 13}), 0.3F), kLinearGradient);
  check_gradient(dropout(varied({5, 3, 7, 9}), 0.5F), kLinearGradient);
  check_gradient(dropout(varied({11}), 0.5F), kLinearGradient);
}

TEST_CASE("dropout: kept elements are scaled, about the right share is dropped") {
  for (const float ratio : {0.1F, 0.5F, 0.9F}) {
    const auto y = OpRunner(dropout(ones({100, 1001}), ratio), {}).forward({})[0];
    const auto dropped = std::count(y.begin(), y.end(), 0.0F);
    const auto count = static_cast<double>(y.size());
    CHECK(dropped + std::count(y.begin(), y.end(), 1.0F / (1.0F - ratio)) ==
          static_cast<int64_t>(y.size()));
    CHECK(std::abs(static_cast<double>(dropped) - ratio * count) <
          5 * std::sqrt(count * ratio * (1 - ratio)));
  }
}

TEST_CASE("dropout: a row has the same mask in whichever micro-batch it is") {
  const auto whole = mask({8, 13}, {.seed = 5, .batch = 2});
  const auto half = mask({4, 13}, {.seed = 5, .batch = 2, .row_first = 4});
  CHECK(std::vector<float>(whole.begin() + 4 * 13, whole.end()) == half);
}

TEST_CASE("dropout: rows of a map are on axis 1") {
  constexpr int64_t kChannels = 5;
  constexpr int64_t kRun = 7;  // not a multiple of a block
  const auto whole = mask({kChannels, 8, 1, kRun}, {.seed = 5});
  const auto half = mask({kChannels, 4, 1, kRun}, {.seed = 5, .row_first = 4});
  for (int64_t channel = 0; channel < kChannels; ++channel) {
    const auto first = whole.begin() + (channel * 8 + 4) * kRun;
    CHECK(std::equal(first, first + 4 * kRun, half.begin() + channel * 4 * kRun));
  }
  // Element e of row r is the same in both layouts.
  const auto flat = mask({8, kChannels * kRun}, {.seed = 5});
  for (int64_t channel = 0; channel < kChannels; ++channel) {
    const auto first = whole.begin() + (channel * 8 + 6) * kRun;
    CHECK(std::equal(first, first + kRun, flat.begin() + (6 * kChannels + channel) * kRun));
  }
}

TEST_CASE("dropout: seed, epoch, batch, row and node all count") {
  const Shape shape = {4, 50};
  const auto base = mask(shape, {});
  CHECK(base == mask(shape, {}));
  CHECK(base != mask(shape, {.seed = 1}));
  CHECK(base != mask(shape, {.epoch = 1}));
  CHECK(base != mask(shape, {.batch = 1}));
  CHECK(base != mask(shape, {.row_first = 1}));
  CHECK(base != mask(shape, {}, 4));
  CHECK(mask(shape, {.epoch = 1}) != mask(shape, {.batch = 1}));
}

TEST_CASE("dropout: a view when it drops nothing") {
  const CaseInput x = varied({7, 13});
  CHECK_FALSE(make_plan(dropout(x, 0.5F))->is_view);
  CHECK(make_plan(dropout(x, 0.5F), Mode::kInfer)->is_view);
  CHECK(make_plan(dropout(x, 0.5F, false))->is_view);
  CHECK(make_plan(dropout(x, 0))->is_view);
  CHECK(make_plan({.op = "Dropout", .inputs = {x}})->is_view);
}

TEST_CASE("dropout: what it cannot do is refused") {
  CHECK_FALSE(make_plan(dropout(varied({7}), 1)).ok());
  CHECK_FALSE(make_plan(dropout(varied({7}), -0.5F)).ok());
  CHECK_FALSE(make_plan({.op = "Dropout", .inputs = {varied({7}), varied({})}}).ok());
  OpCase with_mask = dropout(varied({7}), 0.5F);
  with_mask.output_count = 2;
  CHECK_FALSE(make_plan(with_mask).ok());
}

}  // namespace ft
