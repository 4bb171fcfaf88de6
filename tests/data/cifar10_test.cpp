#include <doctest/doctest.h>
#include <filesystem>

#include "runtime/data/dataset.h"
#include "tests/base/temp_dir.h"
#include "tests/data/files.h"

namespace ft {
namespace {

std::string record(int label, char fill) {
  std::string bytes(1, static_cast<char>(label));
  for (int channel = 0; channel < 3; ++channel)
    bytes.append(1024, static_cast<char>(fill + channel));
  return bytes;
}

// File i of 1..5 holds i records of labels 0, 1, ...
void write_cifar(const TempDir& dir) {
  for (int i = 1; i <= 5; ++i) {
    std::string bytes;
    for (int row = 0; row < i; ++row) bytes += record(row, static_cast<char>(10 * i + row));
    dir.write("data_batch_" + std::to_string(i) + ".bin", bytes);
  }
}

std::string message(const TempDir& dir) {
  return open_dataset("cifar10:" + dir.path(), 0).status().message();
}

}  // namespace

TEST_CASE("cifar10: five files become one split, normalised by channel") {
  const TempDir dir;
  write_cifar(dir);
  dir.write("test_batch.bin", record(9, 7));
  const auto dataset = open_dataset("cifar10:" + dir.path(), 0);
  REQUIRE_MESSAGE(dataset.ok(), dataset.status().message());
  const Dataset& data = **dataset;
  CHECK(data.sample_shape() == Shape{3, 32, 32});
  CHECK(data.classes() == 10);
  CHECK(data.count(Split::kTrain) == 15);
  CHECK(data.count(Split::kTest) == 1);
  CHECK(data.label(Split::kTest, 0) == 9);
  // Rows 0, 1 2, 3 4 5, ...: row 4 is the second of file 3.
  CHECK(data.label(Split::kTrain, 4) == 1);
  std::vector<float> sample(3072);
  data.read_sample(Split::kTrain, 4, sample.data());
  CHECK(sample[0] == static_cast<float>((31 / 255.0 - 0.4914) / 0.2470));
  CHECK(sample[1024] == static_cast<float>((32 / 255.0 - 0.4822) / 0.2435));
  CHECK(sample[3071] == static_cast<float>((33 / 255.0 - 0.4465) / 0.2616));
}

TEST_CASE("cifar10: missing files, odd sizes and bad labels are refused by name") {
  const TempDir dir;
  write_cifar(dir);
  REQUIRE(open_dataset("cifar10:" + dir.path(), 0).ok());  // no test split
  dir.write("data_batch_3.bin", record(1, 0).substr(1));
  CHECK(message(dir).find("data_batch_3.bin: 3072 bytes") != std::string::npos);
  dir.write("data_batch_3.bin", "");
  CHECK(message(dir).find("data_batch_3.bin: 0 bytes") != std::string::npos);
  dir.write("data_batch_3.bin", record(1, 0) + record(12, 0));
  CHECK(message(dir).find("data_batch_3.bin: label 12 at index 1 is outside 0..9 (10 classes)") !=
        std::string::npos);
  std::filesystem::remove(dir.file("data_batch_3.bin"));
  CHECK(message(dir).find("data_batch_3.bin: not found") != std::string::npos);
}

}  // namespace ft
