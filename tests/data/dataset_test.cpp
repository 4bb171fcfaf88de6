#include "runtime/data/dataset.h"

#include <cmath>
#include <doctest/doctest.h>
#include <filesystem>
#include <stdlib.h>
#include <vector>

#include "tests/base/temp_dir.h"

namespace ft {
namespace {

constexpr char kVariable[] = "FTRUN_FASHION_MNIST_DIR";

std::string message(const std::string& spec) {
  const auto dataset = open_dataset(spec, 0);
  REQUIRE_FALSE(dataset.ok());
  CHECK(dataset.status().code() == StatusCode::kInvalid);
  return dataset.status().message();
}

}  // namespace

TEST_CASE("dataset: an unknown specification is answered with the known ones") {
  for (const char* spec : {"", ":", "mnist", "fashion-mnist:x", "idx", "idx:", "npy",
                           "cifar10:", "IDX:/tmp", "synthetic"}) {
    CAPTURE(spec);
    const std::string text = message(spec);
    for (const char* known : {"fashion-mnist", "idx:DIR", "cifar10:DIR", "npy:X,Y", "synthetic:"}) {
      CHECK(text.find(known) != std::string::npos);
    }
  }
}

TEST_CASE("dataset: images and csv are refused by name") {
  CHECK(message("images:/data").find("'images' is not read yet") != std::string::npos);
  CHECK(message("csv:table.csv").find("'csv' is not read yet") != std::string::npos);
}

TEST_CASE("dataset: a missing Fashion-MNIST names the package and the variable") {
  REQUIRE(::setenv(kVariable, "/nowhere/fashion", 1) == 0);
  const std::string text = message("fashion-mnist");
  REQUIRE(::unsetenv(kVariable) == 0);
  CHECK(text.find("/nowhere/fashion") != std::string::npos);
  CHECK(text.find("apt install dataset-fashion-mnist") != std::string::npos);
  CHECK(text.find(kVariable) != std::string::npos);
}

TEST_CASE("dataset: Fashion-MNIST has mean 0 and deviation 1 after normalisation") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    MESSAGE("skipped: apt install dataset-fashion-mnist");
    return;
  }
  const auto dataset = open_dataset("fashion-mnist", 0);
  REQUIRE_MESSAGE(dataset.ok(), dataset.status().message());
  const Dataset& data = **dataset;
  CHECK(data.description() ==
        "fashion-mnist: 60000 training and 10000 test samples of 1x28x28, 10 classes, "
        "(x/255 - 0.2860)/0.3530");
  std::vector<int> counts(10, 0);
  double sum = 0, sum_of_squares = 0;
  std::vector<float> sample(784);
  for (int64_t i = 0; i < 60000; ++i) {
    ++counts[static_cast<size_t>(data.label(Split::kTrain, i))];
    data.read_sample(Split::kTrain, i, sample.data());
    for (const float value : sample) {
      sum += value;
      sum_of_squares += static_cast<double>(value) * value;
    }
  }
  const double elements = 60000.0 * 784;
  CHECK(std::abs(sum / elements) < 0.001);
  CHECK(std::abs(sum_of_squares / elements - 1) < 0.001);
  CHECK(counts == std::vector<int>(10, 6000));
}

}  // namespace ft
