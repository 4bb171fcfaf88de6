// A trained model goes back into its file: names and shapes stay, training forms go. That
// onnxruntime computes the same from it is checked elsewhere.

#include "onnx_import/export.h"

#include <algorithm>
#include <cstring>
#include <doctest/doctest.h>

#include "onnx_import/import.h"
#include "onnx_import/onnx_file.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

Model imported(std::span<const std::byte> file) {
  Result<Model> model = import_model(file, {2});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return std::move(*model);
}

// The model's own state, each number doubled.
std::vector<ConstBufferPtr> doubled_state(const Model& model) {
  std::vector<ConstBufferPtr> state(model.values.size());
  for (size_t i = 0; i < state.size(); ++i) {
    const Value& value = model.values[i];
    if (value.kind != ValueKind::kParameter && value.kind != ValueKind::kStatistic) continue;
    BufferPtr buffer = make_buffer(value.data->size());
    for (size_t k = 0; k < buffer->size() / 4; ++k) {
      buffer->floats()[k] = 2 * value.data->floats()[k];
    }
    state[i] = buffer;
  }
  return state;
}

std::vector<std::byte> exported(std::span<const std::byte> file, const Model& model,
                                const std::vector<ConstBufferPtr>& state) {
  Result<std::vector<std::byte>> bytes = export_model(file, model, state);
  REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
  return std::move(*bytes);
}

}  // namespace

TEST_CASE("export: every golden model comes back with its names and the new numbers") {
  for (const char* name :
       {"resnet18_train_op13.onnx", "resnet18_train_op17_fixed8.onnx", "resnet18_frozen_op14.onnx",
        "mobilenetv2_train_op14.onnx", "squeezenet_infer_op13.onnx", "mlp_dropout_train_op14.onnx",
        "tied_train_op14.onnx", "vgg_bn_train_op14.onnx", "branches_train_op13_fixed8.onnx"}) {
    CAPTURE(name);
    const std::vector<std::byte> file = read_golden(name);
    const Model before = imported(file);
    const std::vector<ConstBufferPtr> state = doubled_state(before);
    const std::vector<std::byte> bytes = exported(file, before, state);
    const Model after = imported(bytes);
    CHECK(count_ops(after, "Dropout") == 0);
    CHECK(after.layer_count() == before.layer_count());
    CHECK(after.value(after.output).name == before.value(before.output).name);
    for (size_t i = 0; i < before.values.size(); ++i) {
      const Value& value = before.values[i];
      if (state[i] == nullptr) continue;
      const ValueId id = find_value(after, value.name);
      CHECK_MESSAGE(id != kNoValue, value.name);
      if (id == kNoValue) continue;
      CHECK(after.value(id).kind == value.kind);
      CHECK(after.value(id).type == value.type);
      CHECK(std::memcmp(after.value(id).data->data(), state[i]->data(), state[i]->size()) == 0);
    }
    for (const Value& value : after.values) CHECK(value.kind != ValueKind::kUpdate);
  }
}

TEST_CASE("export: training forms are gone, the symbolic batch and the names of nodes are not") {
  const std::vector<std::byte> file = read_golden("resnet18_train_op13.onnx");
  const Model model = imported(file);
  const std::vector<std::byte> bytes = exported(file, model, doubled_state(model));
  const Result<OnnxGraph> before = parse_onnx(file);
  const Result<OnnxGraph> after = parse_onnx(bytes);
  REQUIRE(before.ok());
  REQUIRE(after.ok());
  CHECK(after->inputs[0].dims[0].is_symbolic);
  CHECK(after->outputs == before->outputs);
  REQUIRE(after->nodes.size() == before->nodes.size());
  for (size_t i = 0; i < after->nodes.size(); ++i) {
    CHECK(after->nodes[i].name == before->nodes[i].name);
    if (after->nodes[i].op == "BatchNormalization") CHECK(after->nodes[i].outputs.size() == 1);
  }
}

TEST_CASE("export: copies of a merged initializer are written under their own names") {
  const std::vector<std::byte> file = read_golden("squeezenet_infer_op13.onnx");
  const Model model = imported(file);
  const std::vector<std::byte> bytes = exported(file, model, doubled_state(model));
  const Result<OnnxGraph> graph = parse_onnx(bytes);
  REQUIRE(graph.ok());
  CHECK(graph->initializers.count("features.3.expand1x1.bias") == 1);
  for (const OnnxNode& node : graph->nodes) CHECK(node.op != "Identity");
}

TEST_CASE("export: a rewritten shape goes back to the file's") {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 5, 6}).weight("w", {4, 3, 1, 1}).weight("scale", {4, 1, 1});
  writer.node("Conv", {"x", "w"}, {"map"}).node("Mul", {"map", "scale"}, {"y"}).output("y");
  const std::vector<std::byte> file = writer.bytes();
  const Model model = imported(file);
  const Result<OnnxGraph> graph = parse_onnx(exported(file, model, doubled_state(model)));
  REQUIRE(graph.ok());
  CHECK(graph->initializers.at("scale").type.shape == Shape{4, 1, 1});
}

TEST_CASE("export: another file than the model's is refused") {
  const Model model = imported(read_golden("lenet_train_op14.onnx"));
  const std::vector<std::byte> other = read_golden("mlp_train_op14.onnx");
  const std::vector<ConstBufferPtr> state = doubled_state(model);
  CHECK_FALSE(export_model(other, model, state).ok());
}

}  // namespace ft
