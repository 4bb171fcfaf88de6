#include <doctest/doctest.h>
#include <span>
#include <vector>

#include "runtime/base/digest.h"
#include "runtime/data/dataset.h"

namespace ft {
namespace {

std::unique_ptr<Dataset> open(const std::string& spec, uint64_t seed) {
  auto dataset = open_dataset(spec, seed);
  REQUIRE_MESSAGE(dataset.ok(), dataset.status().message());
  return std::move(*dataset);
}

std::vector<float> sample(const Dataset& data, int64_t index) {
  std::vector<float> values(static_cast<size_t>(data.sample_shape().element_count()), 99.0F);
  data.read_sample(Split::kTrain, index, values.data());
  return values;
}

}  // namespace

TEST_CASE("synthetic: shape, classes and count as asked; no test split") {
  const auto data = open("synthetic:3x9x5:7:100", 1);
  CHECK(data->sample_shape() == Shape{3, 9, 5});
  CHECK(data->classes() == 7);
  CHECK(data->count(Split::kTrain) == 100);
  CHECK(data->count(Split::kTest) == 0);
  CHECK(open("synthetic:12:2", 1)->count(Split::kTrain) == 65536);
  CHECK(open("synthetic:2x3x4x5:2", 1)->sample_shape() == Shape{2, 3, 4, 5});
  for (int64_t i = 0; i < 100; ++i) {
    REQUIRE(data->label(Split::kTrain, i) >= 0);
    REQUIRE(data->label(Split::kTrain, i) < 7);
    for (const float value : sample(*data, i)) REQUIRE((value >= -2 && value < 2));
  }
}

TEST_CASE("synthetic: a sample is a function of seed and index") {
  const auto data = open("synthetic:3x8x8:4:50", 1);
  const auto again = open("synthetic:3x8x8:4:60", 1);
  const auto other = open("synthetic:3x8x8:4:50", 2);
  CHECK(sample(*data, 7) == sample(*again, 7));
  CHECK(sample(*data, 7) != sample(*data, 8));
  CHECK(sample(*data, 7) != sample(*other, 7));
  std::vector<int64_t> labels, other_labels;
  for (int64_t i = 0; i < 50; ++i) {
    labels.push_back(data->label(Split::kTrain, i));
    other_labels.push_back(other->label(Split::kTrain, i));
  }
  CHECK(labels != other_labels);
}

// Run records name a seed: what it stands for must not drift between versions or machines. The
// hash comes from a Python program of its own.
TEST_CASE("synthetic: the golden samples stay") {
  const auto data = open("synthetic:3x8x8:4:50", 1);
  Sha256Stream digest;
  for (int64_t i = 0; i < 50; ++i) {
    const auto values = sample(*data, i);
    const int64_t label = data->label(Split::kTrain, i);
    digest.update(std::as_bytes(std::span(values)));
    digest.update(std::as_bytes(std::span(&label, 1)));
  }
  CHECK(to_hex(digest.finish()) ==
        "2c3a9e8860d4bca6a3176d5dd6f17eb476439e1ae3f49edb11b1a662364d77f3");
}

TEST_CASE("synthetic: the class can be told from the sample") {
  const auto data = open("synthetic:1x16x16:5:600", 3);
  std::vector<std::vector<float>> means(5, std::vector<float>(256, 0));
  std::vector<int> counts(5, 0);
  for (int64_t i = 0; i < 500; ++i) {
    const auto label = static_cast<size_t>(data->label(Split::kTrain, i));
    const auto values = sample(*data, i);
    for (size_t j = 0; j < 256; ++j) means[label][j] += values[j];
    ++counts[label];
  }
  int correct = 0;
  for (int64_t i = 500; i < 600; ++i) {
    const auto values = sample(*data, i);
    size_t best = 0;
    float best_distance = 1e30F;
    for (size_t c = 0; c < 5; ++c) {
      REQUIRE(counts[c] > 50);
      float distance = 0;
      for (size_t j = 0; j < 256; ++j) {
        const float difference = values[j] - means[c][j] / static_cast<float>(counts[c]);
        distance += difference * difference;
      }
      if (distance < best_distance) {
        best_distance = distance;
        best = c;
      }
    }
    correct += static_cast<int64_t>(best) == data->label(Split::kTrain, i);
  }
  CHECK(correct >= 99);
}

TEST_CASE("synthetic: malformed specifications are refused with the form") {
  for (const char* spec :
       {"synthetic:3x32x32", "synthetic:x3:10", "synthetic:3x:10", "synthetic:0x3:10",
        "synthetic:3x-3:10", "synthetic:3:0", "synthetic:3:10:0", "synthetic:3:10:5:5",
        "synthetic:3:10:99999999999999999999", "synthetic:99999x99999x99999:10",
        "synthetic:1x1x1x1x1x1x1x1:2", "synthetic:3 x3:10", "synthetic:3:9999999"}) {
    const auto dataset = open_dataset(spec, 0);
    CAPTURE(spec);
    REQUIRE_FALSE(dataset.ok());
    CHECK(dataset.status().code() == StatusCode::kInvalid);
    CHECK(dataset.status().message().find("SHAPE:CLASSES[:COUNT]") != std::string::npos);
  }
}

}  // namespace ft
