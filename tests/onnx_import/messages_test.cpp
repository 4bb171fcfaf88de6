// What a person reads who has made a model that is not taken: the thing, the cause, the remedy.

#include <doctest/doctest.h>

#include "onnx_import/import.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string error_of(const OnnxWriter& writer, const ImportOptions& options = {2}) {
  const Result<Model> model = import_model(writer.bytes(), options);
  return model.ok() ? "" : model.status().message();
}

// x {batch, 6} -> Gemm -> "h".
OnnxWriter linear(int opset = 14) {
  OnnxWriter writer(opset);
  writer.input("x", {-1, 6}).weight("w", {6, 6}).node("Gemm", {"x", "w"}, {"h"});
  return writer;
}

std::string error_behind(const std::string& op, const std::string& domain = "") {
  return error_of(linear().node(op, {"h"}, {"y"}, {}, domain).output("y"));
}

// map {batch, 3, 5, 6}
OnnxWriter convolution() {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 5, 6}).weight("w", {4, 3, 1, 1}).node("Conv", {"x", "w"}, {"map"});
  return writer;
}

OnnxWriter batch_norm(const Ints& sample, int64_t file_batch = -1) {
  OnnxWriter writer;
  Ints dims = sample;
  dims.insert(dims.begin(), file_batch);
  writer.input("x", dims).weight("factor", {1}).node("Mul", {"x", "factor"}, {"s"});
  for (const char* name : {"scale", "bias", "mean", "var"}) writer.weight(name, {sample[0]});
  return writer;
}

OnnxWriter in_training(OnnxWriter writer, const std::string& input, const std::string& output) {
  return writer.node("BatchNormalization", {input, "scale", "bias", "mean", "var"}, {output},
                     {{"training_mode", int64_t{1}}});
}

// But for the first, which says what trains.
std::vector<std::string> notes_of(const OnnxWriter& writer, const ImportOptions& options) {
  const Result<Model> model = import_model(writer.bytes(), options);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return {model->notes.begin() + (options.trains ? 1 : 0), model->notes.end()};
}

}  // namespace

TEST_CASE("messages: an operator that is not supported, and where the list is") {
  CHECK(error_behind("Frobnicate") ==
        "node 'y' (Frobnicate, opset 14): not supported; rewrite this part of the model with "
        "supported operators ('ftrun inspect' lists them)");
  CHECK(contains(error_behind("Fused", "org.example"), "domain 'org.example' is not supported"));
  CHECK(contains(error_behind("FusedConv", "com.microsoft"), "the file from before it"));
}

TEST_CASE("messages: training graphs, losses and quantised models of other tools") {
  CHECK(contains(error_behind("Gradient", "ai.onnx.preview.training"), "export the model alone"));
  CHECK(contains(error_behind("Adam", "ai.onnx.preview.training"), "training graph"));
  CHECK(contains(error_behind("ReluGrad", "com.microsoft"), "training graph"));
  CHECK(contains(error_behind("SoftmaxCrossEntropyLoss"), "(--loss names it)"));
  CHECK(contains(error_behind("QuantizeLinear"), "export the float32 model"));
}

TEST_CASE("messages: an opset that is too old or too new, with what that exporter can do") {
  CHECK(contains(error_of(linear(12).output("h")), "version_converter"));
  CHECK(contains(error_of(linear(20).output("h")), "dynamo=False, opset_version=17"));
}

TEST_CASE("messages: shapes stand in the file's order") {
  OnnxWriter add = convolution();
  add.weight("v", {7, 3, 1, 1}).node("Conv", {"x", "v"}, {"other"});
  add.node("Add", {"map", "other"}, {"y"}).output("y");
  CHECK(contains(error_of(add), "2x4x5x6 and 2x7x5x6 do not broadcast"));
  OnnxWriter concat = convolution();
  concat.weight("v", {7, 3, 2, 2}).node("Conv", {"x", "v"}, {"other"});
  concat.node("Concat", {"map", "other"}, {"y"}, {{"axis", int64_t{1}}}).output("y");
  CHECK(contains(error_of(concat), "2x4x5x6 and 2x7x4x5 differ in more than axis 1"));
  OnnxWriter softmax = convolution();
  softmax.node("Softmax", {"map"}, {"y"}, {{"axis", int64_t{4}}}).output("y");
  CHECK(contains(error_of(softmax), "axis 4 does not exist in rank 4"));
}

TEST_CASE("messages: a batch that is written into the file, and what has nothing to do with it") {
  OnnxWriter traced;
  traced.input("x", {-1, 6}).weight("w", {6, 6}).constant("target", {3}, Ints{4, 3, 2});
  traced.node("Gemm", {"x", "w"}, {"h"}).node("Reshape", {"h", "target"}, {"y"}).output("y");
  CHECK(contains(error_of(traced),
                 "12 elements (2x6) do not fit shape [4, 3, 2] (for a batch of 2;"));
  OnnxWriter dilated = convolution();
  dilated.node("MaxPool", {"map"}, {"y"},
               {{"kernel_shape", Ints{2, 2}}, {"dilations", Ints{2, 2}}});
  CHECK(error_of(dilated.output("y")) ==
        "node 'y' (MaxPool, opset 14): dilated pools are not supported: use dilation=1");
}

TEST_CASE("messages: batch norm over one value is refused with what to change") {
  const OnnxWriter writer = in_training(batch_norm({4, 1, 1}), "s", "y").output("y");
  const std::string error = error_of(writer, {.batch = 1, .micro_batches = 4});
  CHECK(contains(error, "node 'y' (BatchNormalization, opset 14)"));
  CHECK(contains(error, "a single value (1 row of 1x1)"));
  CHECK(contains(error, "use a larger --batch-size or fewer --micro-batches"));
  CHECK(error_of(writer, {.batch = 2}).empty());
  CHECK(error_of(in_training(batch_norm({4, 2, 1}), "s", "y").output("y"), {.batch = 1}).empty());
  // Evaluation takes running statistics.
  CHECK(error_of(writer, {.batch = 1, .trains = false}).empty());
}

TEST_CASE("messages: batch norm over micro-batches or few rows says over what") {
  const OnnxWriter writer = in_training(batch_norm({4, 3, 2}), "s", "y").output("y");
  const std::vector<std::string> parts = notes_of(writer, {.batch = 16, .micro_batches = 4});
  REQUIRE(parts.size() == 1);
  CHECK(parts[0] ==
        "1 batch norm takes its statistics over each micro-batch of 16 rows (at least 96 values a "
        "channel), and running statistics move once a micro-batch; PyTorch takes the whole batch "
        "of 64 rows: --micro-batches 1 does so");
  CHECK(contains(notes_of(writer, {.batch = 2, .micro_batches = 4}).at(0), "noisy"));
  CHECK(contains(notes_of(writer, {.batch = 4}).at(0), "use a larger --batch-size"));
  CHECK(notes_of(writer, {.batch = 8}).empty());
  CHECK(notes_of(writer, {.batch = 4, .trains = false}).empty());
}

TEST_CASE(
    "messages: a batch norm of the one sample in the file is not taken for one of the batch") {
  // x {1, 24} -> Reshape {1, 4, 2, 3} -> batch norm -> back.
  OnnxWriter writer;
  writer.input("x", {1, 24}).weight("factor", {1}).node("Mul", {"x", "factor"}, {"s"});
  for (const char* name : {"scale", "bias", "mean", "var"}) writer.weight(name, {4});
  writer.constant("map", {4}, Ints{1, 4, 2, 3}).constant("flat", {2}, Ints{1, 24});
  writer.node("Reshape", {"s", "map"}, {"a"});
  writer = in_training(writer, "a", "n");
  writer.node("Reshape", {"n", "flat"}, {"y"}).output("y");
  CHECK(contains(error_of(writer, {.batch = 8}), "--schedule sync --micro-batches 8"));
  CHECK(contains(error_of(writer, {.batch = 2, .micro_batches = 4}), "--micro-batches 8"));
  // What the message says helps.
  CHECK(error_of(writer, {.batch = 1, .micro_batches = 8}).empty());
}

}  // namespace ft
