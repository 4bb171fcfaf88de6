#include "partition/layer_mix.h"

#include <doctest/doctest.h>

TEST_CASE("layer mix: the sum stays, its parts follow the medians of what was seen") {
  ft::LayerMix mix;
  std::vector<double> layer_us{100, 200, 300};
  CHECK_FALSE(mix.divide(layer_us.data()));
  mix.add({10, 10, 10});
  mix.add({30, 10, 20});
  CHECK_FALSE(mix.divide(layer_us.data()));
  CHECK(layer_us == std::vector<double>{100, 200, 300});
  mix.add({30, 10, 9999});  // an outlier changes nothing
  REQUIRE(mix.divide(layer_us.data()));
  CHECK(layer_us == std::vector<double>{300, 100, 200});
}

TEST_CASE("layer mix: old batches and other ranges are forgotten") {
  ft::LayerMix mix;
  for (int i = 0; i < 9; ++i) mix.add({1, 3});
  for (int i = 0; i < 9; ++i) mix.add({3, 1});
  std::vector<double> layer_us{20, 20};
  REQUIRE(mix.divide(layer_us.data()));
  CHECK(layer_us == std::vector<double>{30, 10});
  mix.forget();
  CHECK_FALSE(mix.divide(layer_us.data()));
  mix.add({1, 1, 1});
}

TEST_CASE("layer mix: times of nothing divide nothing") {
  ft::LayerMix mix;
  for (int i = 0; i < 3; ++i) mix.add({0, 0});
  std::vector<double> layer_us{20, 10};
  CHECK_FALSE(mix.divide(layer_us.data()));
  CHECK(layer_us == std::vector<double>{20, 10});
}
