// Where transposes stand, and how constants, parameters and axes look beside CNHW feature maps.

#include "onnx_import/layout.h"

#include <doctest/doctest.h>

#include "onnx_import/import.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

// x -> Conv -> "map", 4 channels of 5 x 6.
OnnxWriter convolution() {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 5, 6}).weight("w", {4, 3, 1, 1}).node("Conv", {"x", "w"}, {"map"});
  return writer;
}

Model imported(const OnnxWriter& writer, int64_t batch = 2) {
  Result<Model> model = import_model(writer.bytes(), {batch});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return std::move(*model);
}

const Value& value_of(const Model& model, const std::string& name) {
  const ValueId id = find_value(model, name);
  REQUIRE_MESSAGE(id != kNoValue, name);
  return model.value(id);
}

}  // namespace

TEST_CASE("layout: a chain of feature maps has one transpose at each end") {
  OnnxWriter writer = convolution();
  writer.node("Relu", {"map"}, {"r"}).node("GlobalAveragePool", {"r"}, {"g"});
  writer.node("Flatten", {"g"}, {"f"}).weight("v", {4, 10}).node("Gemm", {"f", "v"}, {"y"});
  const Model model = imported(writer.output("y"));
  CHECK(count_ops(model, "Transpose") == 2);
  CHECK(value_of(model, "x:cnhw").type.shape == Shape{3, 2, 5, 6});
  CHECK(value_of(model, "r").type.shape == Shape{4, 2, 5, 6});
  CHECK(value_of(model, "g").type.shape == Shape{4, 2, 1, 1});
  CHECK(value_of(model, "g:nchw").type.shape == Shape{2, 4, 1, 1});
  CHECK(value_of(model, "f").type.shape == Shape{2, 4});
}

TEST_CASE("layout: the model's output is in logical order") {
  const Model model = imported(convolution().output("map"));
  CHECK(model.value(model.output).name == "map:nchw");
  CHECK(model.value(model.output).type.shape == Shape{2, 4, 5, 6});
}

TEST_CASE("layout: consumers share one transpose for each value and direction") {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 5, 6}).weight("w", {4, 3, 1, 1}).weight("v", {4, 3, 1, 1});
  writer.node("Conv", {"x", "w"}, {"a"}).node("Conv", {"x", "v"}, {"b"});
  writer.node("Add", {"a", "b"}, {"s"}).node("Flatten", {"s"}, {"f"});
  writer.node("Flatten", {"s"}, {"q"});
  writer.node("Add", {"f", "q"}, {"y"});
  const Model model = imported(writer.output("y"));
  CHECK(count_ops(model, "Transpose") == 2);
}

TEST_CASE("layout: per-channel operands are rewritten, not transposed") {
  for (const Ints& dims : {Ints{4, 1, 1}, Ints{1, 4, 1, 1}}) {
    OnnxWriter writer = convolution();
    writer.weight("scale", dims).node("Mul", {"map", "scale"}, {"m"});
    writer.constant("shift", dims, std::vector<float>{1, 2, 3, 4});
    writer.node("Add", {"m", "shift"}, {"y"}).output("y");
    const Model model = imported(writer);
    CHECK(value_of(model, "scale").type.shape == Shape{4, 1, 1, 1});
    CHECK(value_of(model, "shift").type.shape == Shape{4, 1, 1, 1});
    CHECK(value_of(model, "shift").data->floats()[3] == 4.0F);
    CHECK(count_ops(model, "Transpose") == 2);
  }
}

TEST_CASE("layout: operands that meet only the last axes stay as they are") {
  OnnxWriter writer = convolution();
  writer.weight("row", {6}).node("Mul", {"map", "row"}, {"m"});
  writer.constant("two", {}, std::vector<float>{2}).node("Mul", {"m", "two"}, {"y"}).output("y");
  const Model model = imported(writer);
  CHECK(value_of(model, "row").type.shape == Shape{6});
  CHECK(value_of(model, "two").type.shape == Shape{});
  CHECK(value_of(model, "m").type.shape == Shape{4, 2, 5, 6});
}

TEST_CASE("layout: a per-channel parameter that two nodes read in different orders") {
  OnnxWriter writer = convolution();
  writer.producer("pytorch", "1.13.0");  // whoever reads one tensor means one
  writer.weight("scale", {4, 1, 1}).node("Mul", {"map", "scale"}, {"m"});
  writer.constant("target", {4}, Ints{0, 4, 5, 6}).node("Reshape", {"m", "target"}, {"n"});
  writer.node("Mul", {"n", "scale"}, {"y"}).output("y");
  const Model model = imported(writer);
  // Rewriting its shape for one would break the other: both multiply in the file's order.
  CHECK(value_of(model, "scale").type.shape == Shape{4, 1, 1});
  CHECK(value_of(model, "y").type.shape == Shape{2, 4, 5, 6});
}

TEST_CASE("layout: the axis of a concatenation follows the channels") {
  for (const int64_t axis : {1, -3}) {
    OnnxWriter writer = convolution();
    writer.node("Concat", {"map", "map"}, {"y"}, {{"axis", axis}}).output("y");
    const Model model = imported(writer);
    CHECK(model.value(model.output).type.shape == Shape{2, 8, 5, 6});
    for (const Node& node : model.nodes) {
      if (node.op->name == std::string("Concat")) {
        CHECK(*node.attributes.get_int("axis", -1) == 0);
      }
    }
  }
}

TEST_CASE("layout: a softmax keeps its meaning, with and without an axis") {
  const auto softmax_axis = [](const TestAttributes& attributes) -> int64_t {
    OnnxWriter writer = convolution();
    writer.node("Softmax", {"map"}, {"y"}, attributes).output("y");
    const Model model = imported(writer);
    for (const Node& node : model.nodes) {
      if (node.op->name != std::string("Softmax")) continue;
      const bool is_swapped = model.value(node.inputs[0]).type.shape == Shape{4, 2, 5, 6};
      const int64_t axis = *node.attributes.get_int("axis", -1);
      const int64_t physical = axis < 0 ? axis + 4 : axis;
      return is_swapped && physical < 2 ? 1 - physical : physical;
    }
    return -1;
  };
  CHECK(softmax_axis({}) == 3);
  CHECK(softmax_axis({{"axis", int64_t{1}}}) == 1);
  CHECK(softmax_axis({{"axis", int64_t{-4}}}) == 0);
}

TEST_CASE("layout: a sum of a feature map and a reshaped tensor stays CNHW") {
  OnnxWriter writer = convolution();
  writer.constant("target", {4}, Ints{0, 4, 5, 6}).node("Reshape", {"map", "target"}, {"r"});
  writer.node("Add", {"map", "r"}, {"s"}).node("Relu", {"s"}, {"y"}).output("y");
  const Model model = imported(writer);
  CHECK(value_of(model, "s").type.shape == Shape{4, 2, 5, 6});
  CHECK(value_of(model, "r:cnhw").type.shape == Shape{4, 2, 5, 6});
  CHECK(count_ops(model, "Transpose") == 4);  // x, map, r and the output
}

TEST_CASE("layout: a batch norm of rank 2 is left alone") {
  OnnxWriter writer;
  writer.input("x", {-1, 4}).weight("w", {4, 4}).node("Gemm", {"x", "w"}, {"h"});
  for (const char* name : {"scale", "bias", "mean", "var"}) writer.weight(name, {4});
  writer.node("BatchNormalization", {"h", "scale", "bias", "mean", "var"}, {"y"}).output("y");
  const Model model = imported(writer, 3);
  CHECK(count_ops(model, "Transpose") == 0);
  CHECK(model.value(model.output).type.shape == Shape{3, 4});
}

}  // namespace ft
