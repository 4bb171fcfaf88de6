#include "runtime/observe/loss_watch.h"

#include <cmath>
#include <doctest/doctest.h>

#include "runtime/base/random.h"

namespace ft {
namespace {

// The batch at which it tells, or -1.
template <typename LossOf>
int64_t told_at(int64_t batch_size, int64_t batches, const LossOf& loss_of,
                LossGrowth* growth = nullptr) {
  LossWatch watch(batch_size);
  int64_t at = -1;
  for (int64_t batch = 0; batch < batches; ++batch) {
    const std::optional<LossGrowth> grown = watch.add(batch, loss_of(batch));
    if (!grown) continue;
    CHECK(at == -1);  // once
    at = batch;
    if (growth != nullptr) *growth = *grown;
  }
  return at;
}

double uniform(uint64_t seed, int64_t index) {
  const auto block =
      random_block({seed, RandomPurpose::kSynthetic, 0}, 0, static_cast<uint64_t>(index));
  return uniform_float(block[0]) + 1e-6;
}

}  // namespace

TEST_CASE("loss watch: a loss that stays far above its best is told once, with the factor") {
  LossGrowth growth;
  // Falls to 1 at batch 11, then rises.
  const auto loss = [](int64_t batch) {
    return batch < 12 ? 2.2 - 0.1 * static_cast<double>(batch) : 64.0;
  };
  CHECK(told_at(64, 100, loss, &growth) == 15);
  CHECK(growth.batch == 15);
  CHECK(growth.since == 11);
  CHECK(growth.factor == doctest::Approx(64 / 1.65).epsilon(0.001));  // mean of 2.2 .. 1.1
}

TEST_CASE("loss watch: one good batch at the beginning suffices where batches are large") {
  CHECK(told_at(64, 20, [](int64_t batch) { return batch == 0 ? 2.3 : 400.0; }) == 4);
  CHECK(told_at(64, 3, [](int64_t batch) { return batch == 0 ? 2.3 : 1e12; }) == 1);  // at once
}

TEST_CASE("loss watch: what falls, wavers or rises a little is no growth") {
  CHECK(told_at(64, 1000, [](int64_t batch) { return 2.3 / (1 + static_cast<double>(batch)); }) ==
        -1);
  CHECK(told_at(64, 1000, [](int64_t batch) { return batch % 40 == 39 ? 90.0 : 2.0; }) == -1);
  CHECK(told_at(64, 1000, [](int64_t) { return 2.303; }) == -1);
  CHECK(told_at(64, 100, [](int64_t) { return 0.0; }) == -1);
  // A learned model that forgets a part again: far above its best, and far better than untrained.
  CHECK(told_at(64, 400, [](int64_t batch) {
          return batch < 50 ? 2.3 : batch < 300 ? 1e-4 : 0.2;
        }) == -1);
}

TEST_CASE("loss watch: the noise of small batches never triggers") {
  for (const int64_t batch_size : {1, 2, 4, 8, 32}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      CAPTURE(batch_size);
      CAPTURE(seed);
      // A mean of squared errors with heavy tails: exp(2 z), z normal.
      const auto loss = [&](int64_t batch) {
        double sum = 0;
        for (int64_t i = 0; i < batch_size; ++i) {
          const int64_t at = 2 * (batch * batch_size + i);
          const double z = std::sqrt(-2 * std::log(uniform(seed, at))) *
                           std::cos(6.283185307 * uniform(seed, at + 1));
          sum += std::exp(2 * z);
        }
        return sum / static_cast<double>(batch_size);
      };
      CHECK(told_at(batch_size, 5000 / batch_size + 200, loss) == -1);
    }
  }
}

TEST_CASE("loss watch: batches that are trained again do not count twice") {
  const auto loss = [](int64_t batch) { return batch == 0 ? 2.3 : 400.0; };
  LossWatch watch(64);
  for (int64_t batch = 0; batch < 4; ++batch) CHECK_FALSE(watch.add(batch, loss(batch)));
  for (int64_t batch = 1; batch < 4; ++batch) CHECK_FALSE(watch.add(batch, loss(batch)));
  CHECK(watch.add(4, loss(4)).has_value());
  CHECK_FALSE(watch.add(5, loss(5)));
}

}  // namespace ft
