#include "runtime/data/labels.h"

#include <cmath>
#include <doctest/doctest.h>

#include "runtime/data/dataset.h"
#include "tests/base/temp_dir.h"
#include "tests/data/files.h"

namespace ft {
namespace {

struct Read {
  std::vector<int64_t> labels;
  std::string note;  // or what was refused
};

template <typename T>
Read read(NumberType type, const Shape& shape, const std::vector<T>& values) {
  const BufferPtr bytes = make_buffer(values.size() * sizeof(T));
  std::memcpy(bytes->data(), values.data(), bytes->size());
  const Result<Labels> labels = read_labels("y.npy", {type, shape, bytes, 0});
  if (!labels.ok()) return {{}, labels.status().message()};
  CHECK(labels->numbers.shape == Shape{shape.dim(0)});
  Read result{{}, labels->note};
  for (int64_t row = 0; row < shape.dim(0); ++row) {
    result.labels.push_back(labels->numbers.read_integer(row));
  }
  return result;
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

const std::vector<int64_t> kLabels = {2, 0, 1};

}  // namespace

TEST_CASE("labels: plain integers say it themselves; other types are taken and said") {
  CHECK(read<int64_t>(NumberType::kInt64, {3}, {2, 0, 1}).labels == kLabels);
  CHECK(read<int64_t>(NumberType::kInt64, {3}, {2, 0, 1}).note.empty());
  CHECK(read<uint8_t>(NumberType::kUint8, {3}, {2, 0, 1}).note.empty());
  const Read small = read<int16_t>(NumberType::kInt16, {3}, {2, 0, 1});
  CHECK(small.labels == kLabels);
  CHECK(contains(small.note, "int16"));
  const Read flags = read<uint8_t>(NumberType::kBool, {3}, {1, 0, 1});
  CHECK(flags.labels == std::vector<int64_t>{1, 0, 1});
  CHECK(contains(flags.note, "bool"));
}

TEST_CASE("labels: whole floats and a column are taken and said") {
  const Read floats = read<float>(NumberType::kFloat32, {3}, {2, 0, 1});
  CHECK(floats.labels == kLabels);
  CHECK(contains(floats.note, "float32 are taken as class labels"));
  const Read column = read<double>(NumberType::kFloat64, {3, 1}, {2, 0, 1});
  CHECK(column.labels == kLabels);
  CHECK(contains(column.note, "[N, 1]"));
  const Read integers = read<int64_t>(NumberType::kInt64, {3, 1, 1}, {2, 0, 1});
  CHECK(integers.labels == kLabels);
  CHECK(contains(integers.note, "[N, 1, 1]"));
}

TEST_CASE("labels: one-hot rows of any type are taken and said") {
  const std::vector<float> rows = {0, 0, 1, 1, 0, 0, 0, 1, 0};
  const Read floats = read<float>(NumberType::kFloat32, {3, 3}, rows);
  CHECK(floats.labels == kLabels);
  CHECK(contains(floats.note, "one-hot rows of 3"));
  const std::vector<int64_t> whole(rows.begin(), rows.end());
  CHECK(read<int64_t>(NumberType::kInt64, {3, 3}, whole).labels == kLabels);
  CHECK(read<int64_t>(NumberType::kInt64, {3, 1, 3}, whole).labels == kLabels);
}

TEST_CASE("labels: what is none is refused with its row and both remedies") {
  const auto refusal = [](const Read& read) {
    CHECK(read.labels.empty());
    return read.note;
  };
  const std::string half = refusal(read<float>(NumberType::kFloat32, {3}, {1, 0, 0.5F}));
  CHECK(contains(half, "y.npy: row 2 holds 0.5"));
  CHECK(contains(half, "--loss mse"));
  CHECK(contains(half, "astype('<i8')"));
  CHECK(contains(refusal(read<float>(NumberType::kFloat32, {2}, {1, NAN})), "row 1 holds nan"));
  const std::string soft = refusal(read<float>(NumberType::kFloat32, {2, 2}, {1, 0, 0.5F, 0.5F}));
  CHECK(contains(soft, "y.npy: row 1 of shape [N, 2] is not one-hot"));
  CHECK(contains(soft, "y.argmax(1)"));
  CHECK(contains(soft, "--loss mse"));
  CHECK(contains(refusal(read<int32_t>(NumberType::kInt32, {2, 2}, {1, 0, 1, 1})), "row 1"));
  CHECK(contains(refusal(read<int32_t>(NumberType::kInt32, {2, 2}, {1, 0, 0, 0})), "row 1"));
  CHECK(contains(refusal(read<int32_t>(NumberType::kInt32, {1, 2, 2}, {1, 0, 0, 0})), "[N, 2, 2]"));
}

TEST_CASE("labels: below 0 and beyond every class, with the remedy for what they look like") {
  CHECK(contains(read<int64_t>(NumberType::kInt64, {3}, {1, -1, 1}).note, "(y > 0)"));
  const std::string ignored = read<int64_t>(NumberType::kInt64, {3}, {1, 0, -100}).note;
  CHECK(contains(ignored, "row 2 holds the label -100"));
  CHECK(contains(ignored, "y >= 0"));
  CHECK(contains(read<float>(NumberType::kFloat32, {3}, {1, 0, 1e30F}).note, "row 2"));
  CHECK(contains(read<uint64_t>(NumberType::kUint64, {1}, {UINT64_MAX}).note, "numpy.unique"));
}

TEST_CASE("labels: a dataset says what was taken for what, of both splits") {
  const TempDir dir;
  const std::string x =
      dir.write("x.npy", npy_bytes(npy_header("<f4", "(2, 1)"), raw<float>({1, 2})));
  const std::string y =
      dir.write("y.npy", npy_bytes(npy_header("<f4", "(2,)"), raw<float>({3, 0})));
  const std::string t = dir.write(
      "t.npy",
      npy_bytes(npy_header("<i8", "(2, 6)"), raw<int64_t>({0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0})));
  std::string spec = "npy:" + x + "," + y + "," + x;
  spec += "," + t;
  const auto dataset = open_dataset(spec, 0);
  REQUIRE_MESSAGE(dataset.ok(), dataset.status().message());
  CHECK((*dataset)->classes() == 6);
  CHECK((*dataset)->used_classes() == 2);  // 0 and 3
  CHECK((*dataset)->label(Split::kTest, 0) == 5);
  const std::vector<std::string> notes = (*dataset)->notes();
  REQUIRE(notes.size() == 3);
  CHECK(contains(notes[0], "y.npy: whole numbers"));
  CHECK(contains(notes[1], "t.npy: one-hot rows of 6"));
  CHECK(contains(notes[2], "t.npy: labels up to 5, but those of"));
}

TEST_CASE("labels: integers become targets where the loss wants values") {
  const TempDir dir;
  const std::string x =
      dir.write("x.npy", npy_bytes(npy_header("<f4", "(2, 1)"), raw<float>({1, 2})));
  const std::string y =
      dir.write("y.npy", npy_bytes(npy_header("<i8", "(2,)"), raw<int64_t>({-3, 16777217})));
  const auto dataset = open_dataset("npy:" + x + "," + y, 0, TargetKind::kValues);
  REQUIRE_MESSAGE(dataset.ok(), dataset.status().message());
  CHECK((*dataset)->classes() == 0);
  float target = 0;
  (*dataset)->read_target(Split::kTrain, 0, &target);
  CHECK(target == -3);
  REQUIRE((*dataset)->notes().size() == 1);
  CHECK(contains((*dataset)->notes()[0], "int64 numbers are taken as float32 targets, rounded"));
}

}  // namespace ft
