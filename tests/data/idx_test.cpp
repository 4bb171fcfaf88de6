#include "runtime/data/idx.h"

#include <doctest/doctest.h>
#include <filesystem>

#include "runtime/data/dataset.h"
#include "tests/base/temp_dir.h"
#include "tests/data/files.h"

namespace ft {
namespace {

bool mentions(const Status& status, const std::string& text) {
  INFO(status.message());
  return !status.ok() && status.code() == StatusCode::kInvalid &&
         status.message().find(text) != std::string::npos;
}

void write_mnist(const TempDir& dir, const std::string& prefix, uint32_t count, bool zipped,
                 unsigned label_modulus = 3) {
  const std::string images = idx_bytes({count, 2, 3}, counting(count * 6));
  const std::string labels = idx_bytes({count}, counting(count, label_modulus));
  const std::string suffix = zipped ? ".gz" : "";
  dir.write(prefix + "-images-idx3-ubyte" + suffix, zipped ? gzip(images) : images);
  dir.write(prefix + "-labels-idx1-ubyte" + suffix, zipped ? gzip(labels) : labels);
}

}  // namespace

TEST_CASE("idx: plain and compressed files give the same array") {
  const TempDir dir;
  const std::string bytes = idx_bytes({5, 2, 3}, counting(30));
  for (const std::string& path : {dir.write("plain", bytes), dir.write("z.gz", gzip(bytes))}) {
    const auto array = read_idx(path);
    REQUIRE(array.ok());
    CHECK(array->shape == Shape{5, 2, 3});
    CHECK(array->read_integer(4) == 24);
  }
}

TEST_CASE("idx: headers that lie are refused, naming file and sizes") {
  const TempDir dir;
  const auto refused = [&](const std::string& bytes, const std::string& text) {
    const Status plain = read_idx(dir.write("file", bytes)).status();
    const Status zipped = read_idx(dir.write("file.gz", gzip(bytes))).status();
    return mentions(plain, text) && mentions(plain, dir.file("file")) && mentions(zipped, text);
  };
  CHECK(refused("", "not an IDX file"));
  CHECK(refused("\x01\x02\x08\x01", "not an IDX file"));
  CHECK(refused(idx_bytes({4}, counting(16), 0x0D), "0x0D"));
  CHECK(refused(idx_bytes({}, ""), "bad IDX header"));
  CHECK(refused(idx_bytes({5, 2}, "").substr(0, 9), "bad IDX header"));
  CHECK(refused(idx_bytes(std::vector<uint32_t>(9, 1), "1"), "bad IDX header"));
  CHECK(refused(idx_bytes({5, 2, 3}, counting(29)), "says 5x2x3 bytes, the file holds 29"));
  CHECK(refused(idx_bytes({5, 2, 3}, counting(31)), "the file holds 31"));
  CHECK(refused(idx_bytes({0, 2, 3}, ""), "says 0x2x3"));
  CHECK(refused(idx_bytes({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, counting(9)), "holds 9"));
}

TEST_CASE("gzip: damage anywhere in the file is found, and no claim is believed") {
  const TempDir dir;
  const std::string zipped = gzip(idx_bytes({8, 2, 3}, counting(48)));
  for (size_t size = 2; size < zipped.size(); ++size) {
    CHECK_FALSE(read_idx(dir.write("cut.gz", zipped.substr(0, size))).ok());
  }
  // Some bits mean nothing (the header's time, padding); what is read must be what was written.
  for (size_t i = 2; i < zipped.size(); ++i) {
    for (const int bit : {1, 16, 128}) {
      std::string flipped = zipped;
      flipped[i] = static_cast<char>(flipped[i] ^ bit);
      const auto array = read_idx(dir.write("flipped.gz", flipped));
      if (!array.ok()) continue;
      CHECK(array->shape == Shape{8, 2, 3});
      CHECK(std::memcmp(array->row(0), counting(48).data(), 48) == 0);
    }
  }
  CHECK(mentions(read_idx(dir.write("tail.gz", zipped + zipped)).status(), "first member"));
  std::string huge = zipped;
  huge.replace(huge.size() - 4, 4, "\xFF\xFF\xFF\xF0");
  CHECK(mentions(read_idx(dir.write("huge.gz", huge)).status(), "more than the file can hold"));
}

TEST_CASE("idx:DIR reads MNIST's four files, one channel, x/255") {
  const TempDir dir;
  write_mnist(dir, "train", 7, true);
  write_mnist(dir, "t10k", 4, false);
  const auto dataset = open_dataset("idx:" + dir.path(), 0);
  REQUIRE(dataset.ok());
  const Dataset& data = **dataset;
  CHECK(data.sample_shape() == Shape{1, 2, 3});
  CHECK(data.classes() == 3);
  CHECK(data.target_elements() == 1);
  CHECK(data.count(Split::kTrain) == 7);
  CHECK(data.count(Split::kTest) == 4);
  float sample[6];
  data.read_sample(Split::kTrain, 2, sample);
  for (int i = 0; i < 6; ++i) CHECK(sample[i] == static_cast<float>((12 + i) / 255.0));
  CHECK(data.label(Split::kTest, 2) == 2);
  CHECK(data.description() ==
        "idx:" + dir.path() + ": 7 training and 4 test samples of 1x2x3, 3 classes, x/255");
}

TEST_CASE("idx:DIR: the test split may be absent, half a split may not") {
  const TempDir dir;
  CHECK(mentions(open_dataset("idx:" + dir.path(), 0).status(), "train-images-idx3-ubyte"));
  write_mnist(dir, "train", 5, false);
  const auto dataset = open_dataset("idx:" + dir.path(), 0);
  REQUIRE(dataset.ok());
  CHECK((*dataset)->count(Split::kTest) == 0);
  write_mnist(dir, "t10k", 5, false);
  std::filesystem::remove(dir.file("t10k-labels-idx1-ubyte"));
  CHECK(mentions(open_dataset("idx:" + dir.path(), 0).status(), "t10k-labels-idx1-ubyte"));
  CHECK(mentions(open_dataset("idx:/nowhere", 0).status(), "/nowhere: not found"));
}

TEST_CASE("idx:DIR: counts that disagree are refused; test labels beyond the training are said") {
  const TempDir dir;
  write_mnist(dir, "train", 7, false);
  dir.write("train-labels-idx1-ubyte", idx_bytes({6}, counting(6)));
  CHECK(mentions(open_dataset("idx:" + dir.path(), 0).status(), "holds 7 samples"));
  write_mnist(dir, "train", 7, false);
  write_mnist(dir, "t10k", 5, false, 5);
  const auto dataset = open_dataset("idx:" + dir.path(), 0);
  REQUIRE_MESSAGE(dataset.ok(), dataset.status().message());
  CHECK((*dataset)->classes() == 5);
  REQUIRE((*dataset)->notes().size() == 1);
  CHECK((*dataset)->notes()[0].find("t10k-labels-idx1-ubyte: labels up to 4") != std::string::npos);
}

}  // namespace ft
