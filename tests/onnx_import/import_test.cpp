// Sharing, batch rebinding, layers, dead nodes and refusals, on models of a few nodes.

#include "onnx_import/import.h"

#include <algorithm>
#include <doctest/doctest.h>

#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

std::string error_of(const OnnxWriter& writer, int64_t batch = 2,
                     std::vector<ImportProblem>* problems = nullptr) {
  const Result<Model> model = import_model(writer.bytes(), {batch}, problems);
  return model.ok() ? "" : model.status().message();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Model imported(const OnnxWriter& writer, int64_t batch = 2) {
  Result<Model> model = import_model(writer.bytes(), {batch});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return std::move(*model);
}

// x {batch, 6} -> two Gemms with biases b and c, c an Identity of b.
OnnxWriter merged_biases(bool training) {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("v", {6, 6}).weight("w", {6, 6}).weight("b", {6});
  writer.node("Identity", {"b"}, {"c"});
  writer.node("Gemm", {"x", "v", "b"}, {"h"});
  const std::string last = training ? "d" : "h";
  if (training) {
    writer.initializer(float_tensor("ratio", {}, {0.5F}));
    writer.initializer(int_tensor("mode", {}, {1}));
    writer.node("Dropout", {"h", "ratio", "mode"}, {"d"});
  }
  writer.node("Gemm", {last, "w", "c"}, {"y"}).output("y");
  return writer;
}

}  // namespace

TEST_CASE("import: Identity of an initializer is a copy in inference exports, tied in training") {
  const Model copied = imported(merged_biases(false));
  CHECK(copied.value(find_value(copied, "b")).consumers.size() == 1);
  REQUIRE(find_value(copied, "c") != kNoValue);
  CHECK(copied.value(find_value(copied, "c")).kind == ValueKind::kParameter);
  const Model tied = imported(merged_biases(true));
  CHECK(find_value(tied, "c") == kNoValue);
  CHECK(tied.value(find_value(tied, "b")).consumers.size() == 2);
}

TEST_CASE(
    "import: bounds and numbers in Constant nodes are not trained, parameters of rank 0 are") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("w", {6, 6}).weight("low", {}).weight("scale", {});
  writer.weight("shift", {6}).constant("c", {6}, std::vector<float>(6, 2.0F));
  writer.node("Gemm", {"x", "w"}, {"h"}).node("Clip", {"h", "low"}, {"k"});
  writer.node("Mul", {"k", "scale"}, {"m"}).node("Add", {"m", "shift"}, {"a"});
  writer.node("Mul", {"a", "c"}, {"y"}).output("y");
  const Model model = imported(writer);
  const auto kind = [&](const char* name) { return model.value(find_value(model, name)).kind; };
  CHECK(kind("w") == ValueKind::kParameter);
  CHECK(kind("shift") == ValueKind::kParameter);
  CHECK(kind("low") == ValueKind::kConstant);
  CHECK(kind("scale") == ValueKind::kParameter);
  CHECK(kind("c") == ValueKind::kConstant);
}

TEST_CASE("import: gradients are wanted for what depends on a parameter, and only for that") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("w", {6, 6}).node("Relu", {"x"}, {"r"});
  writer.node("Gemm", {"r", "w"}, {"y"}).output("y");
  const Model model = imported(writer);
  CHECK_FALSE(model.value(find_value(model, "x")).needs_gradient);
  CHECK_FALSE(model.value(find_value(model, "r")).needs_gradient);
  CHECK(model.value(find_value(model, "w")).needs_gradient);
  CHECK(model.value(find_value(model, "y")).needs_gradient);
}

TEST_CASE("import: nodes that do not reach the output are dropped, supported or not") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("w", {6, 6}).weight("unused", {3, 3});
  writer.node("Gemm", {"x", "w"}, {"y"}).node("Frobnicate", {"y"}, {"dead"}).output("y");
  const Model model = imported(writer);
  CHECK(model.nodes.size() == 1);
  CHECK(find_value(model, "unused") == kNoValue);
}

TEST_CASE("import: nodes in any order are sorted, cycles and unknown names refused") {
  OnnxWriter shuffled;
  shuffled.input("x", {-1, 6}).weight("w", {6, 6}).node("Relu", {"h"}, {"y"});
  shuffled.node("Gemm", {"x", "w"}, {"h"}).output("y");
  CHECK(imported(shuffled).nodes[0].name == "h");
  OnnxWriter cycle;
  cycle.input("x", {-1, 6}).node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"}).output("b");
  CHECK(contains(error_of(cycle), "'a' (Add) is part of a cycle"));
  OnnxWriter unknown;
  unknown.input("x", {-1, 6}).node("Add", {"x", "ghost"}, {"a"}).output("a");
  CHECK(contains(error_of(unknown), "reads 'ghost', which nothing makes"));
  OnnxWriter missing;
  missing.input("x", {-1, 6}).node("Relu", {"x"}, {"a"}).output("b");
  CHECK(contains(error_of(missing), "output 'b' is made by no node"));
  OnnxWriter twice;
  twice.input("x", {-1, 6}).node("Relu", {"x"}, {"a"}).node("Relu", {"x"}, {"a"}).output("a");
  CHECK(contains(error_of(twice), "'a' is defined twice"));
}

TEST_CASE("import: every node that cannot be trained is named, and no noise behind it") {
  OnnxWriter writer(15);
  writer.input("x", {-1, 6}).weight("w", {6, 6}).weight("v", {5, 5});
  writer.node("Gemm", {"x", "w"}, {"h"}).node("Frobnicate", {"h"}, {"f"});
  writer.node("Relu", {"f"}, {"r"}).node("Shape", {"r"}, {"s"});
  writer.constant("zero", {}, Ints{0}).node("Gather", {"s", "zero"}, {"g"});
  writer.node("Twist", {"r"}, {"t"}, {}, "com.example").node("Gemm", {"h", "v"}, {"bad"});
  writer.node("Add", {"t", "bad"}, {"y"}).output("y");
  std::vector<ImportProblem> problems;
  const std::string error = error_of(writer, 2, &problems);
  REQUIRE(problems.size() == 3);
  CHECK(contains(error, "node 'f' (Frobnicate, opset 15): not supported"));
  CHECK(contains(error, "node 't' (Twist, opset 15): domain 'com.example'"));
  CHECK(contains(error, "node 'bad' (Gemm, opset 15): "));
  CHECK(std::count(error.begin(), error.end(), '\n') == 2);
}

TEST_CASE("import: opsets, inputs and outputs that do not fit are refused with a remedy") {
  const auto model = [](int opset, const Ints& dims) {
    OnnxWriter writer(opset);
    writer.input("x", dims).weight("w", {6, 6}).node("Gemm", {"x", "w"}, {"y"});
    return writer;
  };
  CHECK(contains(error_of(model(11, {-1, 6}).output("y")), "opset_version=14"));
  CHECK(contains(error_of(model(18, {-1, 6}).output("y")), "13 to 17"));
  CHECK(contains(error_of(model(14, {-1, -1}).output("y")), "dimension 1 is not fixed"));
  CHECK(contains(error_of(model(14, {-1, 6}).input("z", {1}).output("y")), "2 inputs"));
  CHECK(contains(error_of(model(14, {-1, 6}).node("Relu", {"y"}, {"z"}).output("y").output("z")),
                 "2 outputs"));
  CHECK(contains(error_of(model(14, {-1, 6})), "no output"));
  OnnxWriter bare;
  bare.input("x", {-1, 6}).node("Relu", {"x"}, {"y"}).output("y");
  CHECK(contains(error_of(bare), "nothing in the model trains"));
  // An initializer listed among the inputs, as old exporters do, is no input.
  CHECK(error_of(model(14, {-1, 6}).input("w", {6, 6}).output("y")).empty());
}

TEST_CASE("import: a fixed batch is rebound in Reshapes") {
  OnnxWriter writer;
  writer.input("x", {8, 3, 2}).weight("w", {6, 4}).constant("target", {2}, Ints{8, 6});
  writer.node("Reshape", {"x", "target"}, {"flat"}).node("Gemm", {"flat", "w"}, {"y"}).output("y");
  const Model eight = imported(writer, 8);
  const Model three = imported(writer, 3);
  CHECK(three.value(three.output).type.shape == Shape{3, 4});
  CHECK(describe(eight, false) == describe(three, false));
}

TEST_CASE("import: a batch baked in elsewhere is refused, naming the node") {
  OnnxWriter writer;
  writer.input("x", {8, 6}).weight("w", {6, 6}).weight("table", {8, 6});
  writer.node("Gemm", {"x", "w"}, {"h"}).node("Add", {"h", "table"}, {"y"}).output("y");
  CHECK(error_of(writer, 8).empty());
  const std::string error = error_of(writer, 3);
  CHECK(contains(error, "node 'y' (Add, opset 14)"));
  CHECK(contains(error, "exported with a batch of 8"));
}

TEST_CASE("import: a transposed weight belongs to the layer of the product that reads it") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("a", {6, 6}).weight("b", {6, 6});
  writer.node("Transpose", {"a"}, {"at"}, {{"perm", Ints{1, 0}}});
  writer.node("Transpose", {"b"}, {"bt"}, {{"perm", Ints{1, 0}}});
  writer.node("MatMul", {"x", "at"}, {"h"}).node("Relu", {"h"}, {"r"});
  writer.node("MatMul", {"r", "bt"}, {"y"}).output("y");
  const Model model = imported(writer);
  REQUIRE(model.layer_count() == 2);
  CHECK(model.layers[0].node_last == 3);
  CHECK(model.layers[1].name == "y");
  CHECK(model.layers[1].parameters == std::vector<ValueId>{find_value(model, "b")});
  CHECK(crossing_values(model, 1) == std::vector<ValueId>{find_value(model, "r")});
}

TEST_CASE("import: Pad before AveragePool becomes pads of the pool") {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 7, 7}).weight("w", {4, 3, 1, 1}).node("Conv", {"x", "w"}, {"c"});
  writer.constant("pads", {8}, Ints{0, 0, 1, 1, 0, 0, 1, 1});
  writer.node("Pad", {"c", "pads"}, {"p"}, {{"mode", std::string("constant")}});
  writer.node("AveragePool", {"p"}, {"y"}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}});
  writer.output("y");
  const Model model = imported(writer);
  CHECK(count_ops(model, "Pad") == 0);
  CHECK(model.value(model.output).type.shape == Shape{2, 4, 4, 4});
}

TEST_CASE("import: a batch norm's statistics move even if the file reads no new ones") {
  for (const int opset : {13, 14}) {
    OnnxWriter writer(opset);
    writer.input("x", {-1, 4}).weight("w", {4, 4}).node("Gemm", {"x", "w"}, {"h"});
    for (const char* name : {"scale", "bias", "mean", "var"}) writer.weight(name, {4});
    const bool has_attribute = opset >= 14;
    TestAttributes attributes;
    if (has_attribute) attributes["training_mode"] = int64_t{1};
    const std::vector<std::string> outputs =
        has_attribute ? std::vector<std::string>{"y"}
                      : std::vector<std::string>{"y", "m", "v", "sm", "sv"};
    writer.node("BatchNormalization", {"h", "scale", "bias", "mean", "var"}, outputs, attributes);
    writer.output("y");
    const Model model = imported(writer);
    const Node& node = model.nodes.back();
    REQUIRE(node.outputs.size() == 3);
    CHECK(model.value(node.outputs[1]).updates == find_value(model, "mean"));
    CHECK(model.value(node.outputs[2]).updates == find_value(model, "var"));
    CHECK(model.layers[0].statistics.size() == 2);
  }
}

TEST_CASE("import: statistics that two batch norms read are copied if fixed, refused if moved") {
  const auto twice = [](int64_t training) {
    OnnxWriter writer;
    writer.producer("pytorch", "1.13.0");
    writer.input("x", {-1, 4}).weight("v", {4, 4}).weight("w", {4, 4});
    for (const char* name : {"scale", "bias", "mean", "var"}) writer.weight(name, {4});
    const TestAttributes attributes = {{"training_mode", training}};
    writer.node("Gemm", {"x", "v"}, {"h"});
    writer.node("BatchNormalization", {"h", "scale", "bias", "mean", "var"}, {"n"}, attributes);
    writer.node("Gemm", {"n", "w"}, {"k"});
    writer.node("BatchNormalization", {"k", "scale", "bias", "mean", "var"}, {"y"}, attributes);
    return writer.output("y");
  };
  const Model model = imported(twice(0));
  CHECK(model.layers[0].statistics.size() == 2);
  CHECK(model.layers[1].statistics.size() == 2);
  CHECK(crossing_values(model, 1).size() == 3);  // the activation, scale and bias
  CHECK(contains(error_of(twice(1)), "moved by another batch norm"));
}

TEST_CASE("import: an output that is made early crosses every later cut") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("a", {6, 6}).weight("b", {6, 6});
  writer.node("Gemm", {"x", "a"}, {"h"}).node("Gemm", {"h", "b"}, {"y"}).output("y");
  Model model = imported(writer);
  model.output = find_value(model, "h");
  model.values[static_cast<size_t>(model.output)].consumers.clear();
  CHECK(crossing_values(model, 1) == std::vector<ValueId>{model.output});
  CHECK(crossing_values(model, 2) == std::vector<ValueId>{model.output});
}

}  // namespace ft
