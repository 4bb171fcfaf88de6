// The constant folder, op by op, and the shape arithmetic of ShuffleNetV2's channel shuffle.

#include "onnx_import/fold.h"

#include <doctest/doctest.h>
#include <limits>

#include "onnx_import/import.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

Constant ints(const Ints& values) { return make_constant(values); }
Constant scalar(int64_t value) {
  return make_constant(Shape{}, std::span<const int64_t>(&value, 1));
}
Constant floats(const std::vector<float>& values) {
  return make_constant(Shape{static_cast<int64_t>(values.size())}, std::span<const float>(values));
}

Result<std::optional<Constant>> fold(const std::string& op, const std::vector<Constant>& inputs,
                                     const std::map<std::string, Attribute>& attributes = {}) {
  OnnxNode node;
  node.op = op;
  for (const auto& [name, value] : attributes) node.attributes.set(name, value);
  std::vector<const Constant*> pointers;
  for (const Constant& input : inputs) pointers.push_back(&input);
  return fold_node({&node, pointers});
}

// The integers of a result that must exist.
Ints folded(const std::string& op, const std::vector<Constant>& inputs,
            const std::map<std::string, Attribute>& attributes = {}) {
  const auto result = fold(op, inputs, attributes);
  REQUIRE_MESSAGE(result.ok(), op << ": " << result.status().message());
  REQUIRE(result->has_value());
  const auto values = (**result).ints();
  return {values.begin(), values.end()};
}

bool refused(const std::string& op, const std::vector<Constant>& inputs,
             const std::map<std::string, Attribute>& attributes = {}) {
  return !fold(op, inputs, attributes).ok();
}

constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();
constexpr int64_t kInt64Min = std::numeric_limits<int64_t>::min();

}  // namespace

TEST_CASE("fold: elements are picked, cut and joined") {
  const Constant shape = ints({8, 48, 7, 9});
  CHECK(folded("Gather", {shape, scalar(1)}) == Ints{48});
  CHECK(folded("Gather", {shape, ints({-1, 0})}) == Ints{9, 8});
  CHECK(refused("Gather", {shape, scalar(4)}));
  CHECK(folded("Slice", {shape, ints({1}), ints({kInt64Max})}) == Ints{48, 7, 9});
  CHECK(folded("Slice", {shape, ints({-1}), ints({kInt64Min}), ints({0}), ints({-1})}) ==
        Ints{9, 7, 48, 8});
  CHECK(folded("Slice", {shape, ints({3}), ints({0}), ints({0}), ints({kInt64Min})}) == Ints{9});
  CHECK(folded("Slice", {shape, ints({0}), ints({4}), ints({0}), ints({3})}) == Ints{8, 9});
  CHECK(folded("Slice", {shape, ints({2}), ints({1})}) == Ints{});
  CHECK(refused("Slice", {shape, ints({0}), ints({1}), ints({0}), ints({0})}));
  CHECK(folded("Concat", {ints({1}), ints({}), ints({2, 3})}, {{"axis", int64_t{0}}}) ==
        Ints{1, 2, 3});
  CHECK(refused("Concat", {ints({1}), floats({1})}, {{"axis", int64_t{0}}}));
}

TEST_CASE("fold: shapes are changed and filled") {
  const auto unsqueezed = fold("Unsqueeze", {ints({4, 5}), ints({0, -1})});
  CHECK((**unsqueezed).type.shape == Shape{1, 2, 1});
  CHECK((**fold("Squeeze", {**unsqueezed, ints({0})})).type.shape == Shape{2, 1});
  CHECK((**fold("Squeeze", {**unsqueezed})).type.shape == Shape{2});
  CHECK((**fold("Reshape", {ints({1, 2, 3, 4, 5, 6}), ints({2, -1})})).type.shape == Shape{2, 3});
  CHECK(refused("Reshape", {ints({1, 2, 3}), ints({2, -1})}));
  CHECK(folded("Expand", {ints({7}), ints({3})}) == Ints{7, 7, 7});
  CHECK((**fold("ConstantOfShape", {ints({2})})).floats()[1] == 0.0F);
}

TEST_CASE("fold: arithmetic follows ONNX and refuses what C++ leaves undefined") {
  CHECK(folded("Add", {ints({1, 2}), scalar(10)}) == Ints{11, 12});
  CHECK(folded("Div", {ints({7, -7}), scalar(2)}) == Ints{3, -3});
  CHECK(folded("Mod", {ints({7, -7}), scalar(3)}) == Ints{1, 2});
  CHECK(folded("Div", {scalar(kInt64Min), scalar(-1)}) == Ints{kInt64Min});
  CHECK(folded("Add", {scalar(kInt64Max), scalar(1)}) == Ints{kInt64Min});
  CHECK(refused("Div", {scalar(1), scalar(0)}));
  CHECK(refused("Add", {ints({1, 2}), ints({1, 2, 3})}));
  CHECK(folded("Range", {scalar(1), scalar(8), scalar(3)}) == Ints{1, 4, 7});
  CHECK(folded("Range", {scalar(3), scalar(0), scalar(-2)}) == Ints{3, 1});
  CHECK(refused("Range", {scalar(0), scalar(kInt64Max), scalar(1)}));
  CHECK(folded("Equal", {ints({1, -1}), scalar(-1)}) == Ints{0, 1});
  CHECK(folded("Where", {ints({0, 1}), scalar(5), ints({6, 7})}) == Ints{6, 5});
  CHECK(folded("ReduceProd", {ints({2, 3, 4})}, {{"keepdims", int64_t{0}}}) == Ints{24});
  CHECK(folded("Cast", {floats({2.9F, -2.9F})}, {{"to", int64_t{7}}}) == Ints{2, -2});
  CHECK(refused("Cast", {floats({1e30F})}, {{"to", int64_t{7}}}));
  CHECK((**fold("Sqrt", {floats({9})})).floats()[0] == 3.0F);
}

TEST_CASE("fold: constants above the limit are not made") {
  CHECK(refused("ConstantOfShape", {ints({1 << 11, 1 << 11})}));
  CHECK(refused("ConstantOfShape", {ints({kInt64Max, kInt64Max})}));
  CHECK(refused("ConstantOfShape", {ints({-1})}));
  CHECK(refused("Expand", {ints({1}), ints({1 << 21})}));
  CHECK_FALSE(fold("Relu", {ints({1})})->has_value());
}

TEST_CASE("fold: the channel shuffle of a training export leaves Reshape and Transpose only") {
  OnnxWriter writer;
  writer.input("x", {-1, 4, 6, 6}).weight("w", {8, 4, 1, 1}).node("Conv", {"x", "w"}, {"map"});
  writer.node("Shape", {"map"}, {"shape"});
  for (int64_t i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    writer.constant("i" + n, {}, Ints{i}).constant("axes" + n, {1}, Ints{0});
    writer.node("Gather", {"shape", "i" + n}, {"dim" + n}, {{"axis", int64_t{0}}});
    writer.node("Unsqueeze", {"dim" + n, "axes" + n}, {"d" + n});
  }
  writer.constant("two", {}, Ints{2}).node("Div", {"dim1", "two"}, {"half"});
  writer.node("Cast", {"half"}, {"half64"}, {{"to", int64_t{7}}});
  writer.node("Unsqueeze", {"half64", "axes0"}, {"h"}).node("Unsqueeze", {"two", "axes0"}, {"t"});
  writer.node("Concat", {"d0", "t", "h", "d2", "d3"}, {"grouped"}, {{"axis", int64_t{0}}});
  writer.node("Reshape", {"map", "grouped"}, {"g"});
  writer.node("Transpose", {"g"}, {"s"}, {{"perm", Ints{0, 2, 1, 3, 4}}});
  writer.constant("rest", {1}, Ints{-1});
  writer.node("Concat", {"d0", "rest", "d2", "d3"}, {"flat"}, {{"axis", int64_t{0}}});
  writer.node("Reshape", {"s", "flat"}, {"y"}).output("y");
  for (const int64_t batch : {1, 3}) {
    const Result<Model> model = import_model(writer.bytes(), {batch});
    REQUIRE_MESSAGE(model.ok(), model.status().message());
    CHECK(model->value(model->output).type.shape == Shape{batch, 8, 6, 6});
    CHECK(count_ops(*model, "Reshape") == 2);
    // Into CNHW, out of it, and the shuffle itself.
    CHECK(count_ops(*model, "Transpose") == 3);
    CHECK(model->nodes.size() == 6);
  }
}

}  // namespace ft
