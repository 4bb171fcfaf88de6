#include "runtime/node/data_checks.h"

#include <cmath>
#include <doctest/doctest.h>

#include "onnx_import/import.h"
#include "tests/base/temp_dir.h"
#include "tests/data/files.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

constexpr int64_t kRows = 12;

// x [N, 2] -> Gemm -> `outputs` numbers, as `shape` (0: the batch), and `op` at the end.
Model make_model(int64_t outputs, const std::vector<int64_t>& shape = {},
                 const std::string& op = "Identity", bool cross_entropy = true) {
  OnnxWriter writer(14);
  writer.input("x", {-1, 2}).weight("w", {outputs, 2}).weight("b", {outputs});
  writer.node("Gemm", {"x", "w", "b"}, {"z"}, {{"transB", int64_t{1}}});
  std::string last = "z";
  if (!shape.empty()) {
    writer.constant("shape", {static_cast<int64_t>(shape.size())}, shape);
    writer.node("Reshape", {"z", "shape"}, {"r"});
    last = "r";
  }
  writer.node(op, {last}, {"y"}).output("y");
  ImportOptions options;
  options.batch = 4;
  options.cross_entropy = cross_entropy;
  Result<Model> model = import_model(writer.bytes(), options);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return std::move(*model);
}

struct Answer {
  std::string refusal;
  std::vector<std::string> notes;
};

// int64 targets, a row of shape `row` each, of all samples; `test`: of a test split.
Answer check(const Model& model, bool cross_entropy, const std::string& row,
             const std::vector<int64_t>& targets, const std::vector<int64_t>& test = {}) {
  const TempDir dir;
  const auto rows = static_cast<size_t>(kRows);
  const std::string x = dir.write(
      "x.npy", npy_bytes(npy_header("<f4", "(12, 2)"), raw(std::vector<float>(2 * rows))));
  std::string spec =
      "npy:" + x + "," +
      dir.write("y.npy", npy_bytes(npy_header("<i8", "(12," + row + ")"), raw(targets)));
  if (!test.empty()) {
    spec += "," + x + "," + dir.write("t.npy", npy_bytes(npy_header("<i8", "(12,)"), raw(test)));
  }
  const auto dataset =
      open_dataset(spec, 0, cross_entropy ? TargetKind::kLabels : TargetKind::kValues);
  REQUIRE_MESSAGE(dataset.ok(), dataset.status().message());
  Answer answer;
  answer.refusal = check_data(model, **dataset, cross_entropy, "DATA", &answer.notes).message();
  return answer;
}

std::vector<int64_t> labels(int64_t classes) {
  std::vector<int64_t> labels;
  for (int64_t row = 0; row < kRows; ++row) labels.push_back(row % classes);
  return labels;
}

bool mentions(const Answer& answer, const std::string& part) {
  std::string all = answer.refusal;
  for (const std::string& note : answer.notes) all += "\n" + note;
  INFO(all);
  return all.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("data checks: labels beyond the outputs are refused with file, row and remedy") {
  const Model five = make_model(5);
  CHECK(check(five, true, "", labels(5)).refusal.empty());
  CHECK(check(five, true, "", labels(5)).notes.empty());
  std::vector<int64_t> bad = labels(5);
  bad[9] = 7;
  const Answer seven = check(five, true, "", bad);
  CHECK(mentions(seven, "y.npy: row 9 holds the label 7; that makes 8 classes"));
  CHECK(mentions(seven, "5 outputs, for labels 0 to 4"));
  CHECK(mentions(seven, "numpy.unique"));
  CHECK(mentions(check(five, true, "", labels(5), bad), "t.npy: row 9 holds the label 7"));
  std::vector<int64_t> from_one = labels(5);
  for (int64_t& label : from_one) ++label;
  CHECK(mentions(check(five, true, "", from_one), "row 4 holds the label 5"));
  CHECK(mentions(check(five, true, "", from_one), "numpy.save(file, y - 1)"));
}

TEST_CASE("data checks: classes that the data never uses are said") {
  CHECK(mentions(check(make_model(10), true, "", labels(5)),
                 "the data uses 5 of the model's 10 classes"));
}

TEST_CASE("data checks: logits in any shape with one reading are accepted and said") {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{0, 5, 1, 1}, {0, 1, 5}, {0, 5, 1}}) {
    const Answer answer = check(make_model(5, shape), true, "", labels(5));
    CHECK(answer.refusal.empty());
    CHECK(mentions(answer, "is read as the logits of 5 classes"));
  }
  CHECK(mentions(check(make_model(6, {0, 2, 3}), true, "", labels(3)), "[N, 2, 3]"));
}

TEST_CASE("data checks: endings that make cross-entropy nonsense are refused, others said") {
  for (const char* op : {"Sigmoid", "HardSigmoid"}) {
    const Answer answer = check(make_model(5, {}, op), true, "", labels(5));
    CHECK(mentions(answer, std::string("the model ends in ") + op + " ('y')"));
    CHECK(mentions(answer, "--loss mse"));
    CHECK_FALSE(answer.refusal.empty());
    CHECK(
        check(make_model(5, {}, op, false), false, " 5", std::vector<int64_t>(60)).refusal.empty());
  }
  CHECK_FALSE(check(make_model(5, {0, 5, 1}, "Sigmoid"), true, "", labels(5)).refusal.empty());
  for (const char* op : {"Tanh", "Relu"}) {
    const Answer answer = check(make_model(5, {}, op), true, "", labels(5));
    CHECK(answer.refusal.empty());
    CHECK(mentions(answer, std::string("the model ends in ") + op));
  }
  CHECK(mentions(check(make_model(1), true, "", labels(1)), "over 1 class is always 0"));
  CHECK(mentions(check(make_model(1, {}, "Sigmoid"), true, "", labels(1)), "two classes"));
}

TEST_CASE("data checks: targets have the output's shape, not only its count") {
  const Model model = make_model(6, {0, 2, 3}, "Identity", false);
  const std::vector<int64_t> targets(kRows * 6);
  const Answer same = check(model, false, " 2, 3", targets);
  CHECK(same.refusal.empty());
  CHECK(same.notes.size() == 1);  // integers are taken as float32
  CHECK(mentions(check(model, false, " 6", targets), "targets are [N, 6]"));
  CHECK(mentions(check(model, false, " 6", targets), "output is [N, 2, 3]"));
  CHECK_FALSE(check(model, false, " 3, 2", targets).refusal.empty());
  const Answer longer = check(model, false, " 2, 1, 3", targets);
  CHECK(longer.refusal.empty());
  CHECK(mentions(longer, "[N, 2, 1, 3] are compared with the model's output [N, 2, 3]"));
  const Model one = make_model(1, {}, "Identity", false);
  CHECK(check(one, false, "", labels(7)).refusal.empty());
  const Answer classes = check(make_model(5, {}, "Identity", false), false, "", labels(5));
  CHECK(mentions(classes, "leave out --loss mse"));
}

TEST_CASE("data checks: what is left out of an epoch is said, with the batch size that takes all") {
  CHECK(left_out_note(60000, 64, 1, true) ==
        "60,000 samples: 937 batches of 64; 32 are left out each epoch, others each time; "
        "--batch-size 60 leaves none out");
  CHECK(left_out_note(10, 4, 1, false) ==
        "10 samples: 2 batches of 4; always the last 2 are left out (--shuffle off); "
        "--batch-size 5 leaves none out");
  CHECK(left_out_note(10, 4, 2, true) ==
        "10 samples: 2 batches of 4; 2 are left out each epoch, others each time; "
        "--batch-size 2 leaves none out");
  CHECK(left_out_note(7, 4, 1, true).find("1 batch of 4; 3 are left out") != std::string::npos);
  CHECK(left_out_note(13, 4, 4, true).ends_with("1 is left out each epoch, others each time"));
  CHECK(left_out_note(64, 16, 1, true).empty());
}

TEST_CASE("data checks: fewer samples than a batch, with a batch size that works") {
  CHECK(too_few_samples("D", 7, 8, 1).message().ends_with("say --batch-size 7"));
  CHECK(too_few_samples("D", 7, 8, 4).message().ends_with("say --batch-size 4"));
  CHECK(too_few_samples("D", 3, 8, 4).message().ends_with("--batch-size 3 --micro-batches 1"));
}

TEST_CASE("data checks: a model's weights are finite") {
  Model model = make_model(5);
  CHECK(check_weights(model).ok());
  for (Value& value : model.values) {
    if (value.name != "b") continue;
    const BufferPtr bytes = make_buffer(value.data->size());
    std::fill_n(bytes->floats(), 5, 1.0F);
    bytes->floats()[3] = NAN;
    value.data = bytes;
  }
  CHECK(check_weights(model).message().find("'b' holds nan") != std::string::npos);
}

}  // namespace ft
