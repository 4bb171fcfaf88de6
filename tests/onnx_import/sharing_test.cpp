// Which tensors are one: by the exporter's form, and by a person's word.

#include <cstring>

#include "onnx_import/export.h"
#include "onnx_import/onnx_file.h"
#include "tests/onnx_import/tensor_helpers.h"

namespace ft {
namespace {

// x {batch, 6} -> two Gemms with biases `first` and `second`.
OnnxWriter two_gemms(const std::string& first, const std::string& second,
                     const std::vector<std::string>& names = {"", ""}) {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("v", {6, 6}).weight("w", {6, 6});
  writer.node("Gemm", {"x", "v", first}, {"h"}, {}, "", names[0]);
  return writer.node("Gemm", {"h", "w", second}, {"y"}, {}, "", names[1]).output("y");
}

OnnxWriter merged() { return two_gemms("b", "b").weight("b", {6}); }

// Two MatMuls in those modules whose weight the exporter folded and merged.
OnnxWriter folded(const std::string& first, const std::string& second) {
  OnnxWriter writer;
  writer.producer("pytorch", "1.13.0").input("x", {-1, 6}).weight("onnx::MatMul_7", {6, 6});
  writer.node("Identity", {"onnx::MatMul_7"}, {"onnx::MatMul_8"});
  writer.node("MatMul", {"x", "onnx::MatMul_7"}, {"h"}, {}, "", first);
  return writer.node("MatMul", {"h", "onnx::MatMul_8"}, {"y"}, {}, "", second).output("y");
}

// Every trained value filled with 1, 2, ... in order.
std::vector<ConstBufferPtr> numbered_state(const Model& model) {
  std::vector<ConstBufferPtr> state(model.values.size());
  float number = 0;
  for (size_t i = 0; i < state.size(); ++i) {
    const Value& value = model.values[i];
    if (value.kind != ValueKind::kParameter && value.kind != ValueKind::kStatistic) continue;
    const std::vector<float> all(static_cast<size_t>(value.type.shape.element_count()), ++number);
    BufferPtr buffer = make_buffer(all.size() * sizeof(float));
    std::memcpy(buffer->data(), all.data(), buffer->size());
    state[i] = buffer;
  }
  return state;
}

OnnxGraph exported(const OnnxWriter& writer, const Model& model) {
  const auto bytes = export_model(writer.bytes(), model, numbered_state(model));
  REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
  Result<OnnxGraph> graph = parse_onnx(*bytes);
  REQUIRE(graph.ok());
  return std::move(*graph);
}

}  // namespace

TEST_CASE("sharing: a small tensor that two modules read is two, and comes back as two") {
  const Model model = model_of(merged());
  CHECK(tensor_of(model, "b:2").copy_of == "b");
  CHECK(model.value(find_value(model, "b")).consumers.size() == 1);
  CHECK(model.value(find_value(model, "b:2")).kind == ValueKind::kParameter);
  REQUIRE(model.notes.size() == 2);
  CHECK(model.notes[1] ==
        "1 tensor is only equal to another tensor in the file and trains on its "
        "own: 'b:2' (--tie b=b:2 for one tensor)");
  const OnnxGraph graph = exported(merged(), model);
  CHECK(graph.nodes[0].inputs[2] == "b");
  CHECK(graph.nodes[1].inputs[2] == "b:2");
  CHECK(graph.initializers.at("b").floats()[0] != graph.initializers.at("b:2").floats()[0]);
}

TEST_CASE("sharing: one tensor where the exporter would have written an Identity, and large ones") {
  const Model legacy = model_of(merged().producer("pytorch", "1.13.0"));
  CHECK(legacy.value(find_value(legacy, "b")).consumers.size() == 2);
  OnnxWriter large;
  large.input("x", {-1, 33}).weight("w", {33, 33}).node("MatMul", {"x", "w"}, {"h"});
  large.node("MatMul", {"h", "w"}, {"y"}).output("y");
  CHECK(model_of(large).tensors.size() == 1);
}

TEST_CASE("sharing: a weight that is read twice on the way to one node is one") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("v", {6, 6}).node("Mul", {"v", "v"}, {"square"});
  writer.node("Add", {"square", "v"}, {"w"}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  CHECK(model_of(writer).tensors.size() == 1);
}

TEST_CASE("sharing: a module that is called twice has one folded weight, two modules have two") {
  const Model once = model_of(folded("/fc/MatMul", "/fc_1/MatMul"));
  CHECK(tensor_of(once, "onnx::MatMul_8").tied_to == "onnx::MatMul_7");
  CHECK(has_text(once.notes.at(0),
                 "36 parameters in 1 tensor train; 'onnx::MatMul_8' is "
                 "'onnx::MatMul_7' (--untie onnx::MatMul_7 for tensors apart)"));
  const Model nested = model_of(folded("/block/fc/MatMul", "/block_1/fc_3/MatMul"));
  CHECK(nested.tensors[1].tied_to == "onnx::MatMul_7");  // the second call of "block"
  CHECK(model_of(folded("/a/MatMul", "/b/MatMul")).tensors[1].tied_to.empty());
  CHECK(model_of(folded("MatMul_1", "MatMul_2")).tensors[1].tied_to.empty());
  // A tensor's name shows that "fc_1" is a module of its own.
  OnnxWriter writer = folded("/fc/MatMul", "/fc_1/MatMul");
  writer.weight("fc_1.bias", {6}).node("Add", {"y", "fc_1.bias"}, {"z"});
  CHECK(model_of(writer).tensors[1].tied_to.empty());
}

TEST_CASE("sharing: the graph of a person's ties is exported as it was trained") {
  OnnxWriter writer = two_gemms("b", "c").weight("b", {6}).weight("c", {6}).weight("d", {5});
  const Model tied = model_of(writer, {{}, {}, {"b=c"}, {}});
  CHECK(tensor_of(tied, "c").tied_to == "b");
  const OnnxGraph graph = exported(writer, tied);
  CHECK(graph.initializers.at("c").floats()[0] == graph.initializers.at("b").floats()[0]);
  CHECK(has_text(refusal_of(writer, {{}, {}, {"b=v"}, {}}), "their shapes are"));
  CHECK(has_text(refusal_of(writer, {{}, {}, {"b=cc"}, {}}), "--tie cc: no tensor"));
  CHECK(has_text(refusal_of(writer, {{}, {}, {"b"}, {}}), "--tie A=B"));
  CHECK(has_text(refusal_of(writer, {{}, {}, {}, {"b"}}), "one node alone reads it"));
  const Model again = model_of(merged(), {{}, {}, {"b=b:2"}, {}});
  CHECK(exported(merged(), again).nodes[1].inputs[2] == "b");
}

TEST_CASE("sharing: --untie gives each reader its own, also what the form had tied") {
  const RoleChoices apart{{}, {}, {}, {"b"}};
  const Model model = model_of(merged().producer("pytorch", "1.13.0"), apart);
  CHECK(tensor_of(model, "b:2").copy_of == "b");
  OnnxWriter writer = folded("/fc/MatMul", "/fc_1/MatMul");
  const Model untied = model_of(writer, {{}, {}, {}, {"onnx::MatMul_8"}});
  CHECK(tensor_of(untied, "onnx::MatMul_8").tied_to.empty());
  const OnnxGraph graph = exported(writer, untied);
  CHECK(graph.initializers.at("onnx::MatMul_8").floats()[0] == 2.0F);
}

TEST_CASE("sharing: --untie takes a training export's ties back, of several tensors") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("w", {6, 6}).weight("a", {6});
  writer.initializer(float_tensor("ratio", {}, {0.5F})).initializer(int_tensor("mode", {}, {1}));
  writer.node("Identity", {"a"}, {"b"}).node("Identity", {"b"}, {"c"});
  writer.node("Gemm", {"x", "w", "a"}, {"h"}).node("Dropout", {"h", "ratio", "mode"}, {"d"});
  writer.node("Gemm", {"d", "w", "b"}, {"k"}).node("Add", {"k", "c"}, {"y"}).output("y");
  const Model tied = model_of(writer);
  CHECK(tensor_of(tied, "c").tied_to == "a");
  CHECK(tied.value(find_value(tied, "a")).consumers.size() == 3);
  const Model apart = model_of(writer, {{}, {}, {}, {"b"}});
  for (const char* name : {"a", "b", "c"}) {
    CHECK(tensor_of(apart, name).tied_to.empty());
    CHECK(apart.value(find_value(apart, name)).consumers.size() == 1);
  }
  const OnnxGraph graph = exported(writer, apart);
  CHECK(graph.initializers.at("b").floats()[0] != graph.initializers.at("c").floats()[0]);
}

TEST_CASE("sharing: one initializer of ones and one of zeros are a fresh norm's four and more") {
  OnnxWriter writer;
  writer.input("x", {-1, 4}).weight("v", {4, 4});
  writer.initializer(float_tensor("ones", {4}, {1, 1, 1, 1}));
  writer.initializer(float_tensor("zeros", {4}, {0, 0, 0, 0}));
  writer.node("Gemm", {"x", "v", "zeros"}, {"h"});
  writer.node("BatchNormalization", {"h", "ones", "zeros", "zeros", "ones"}, {"y"},
              {{"training_mode", int64_t{1}}});
  const Model model = model_of(writer.output("y"));
  int statistics = 0;
  for (const TensorInfo& tensor : model.tensors) {
    statistics += tensor.role == TensorRole::kStatistic ? 1 : 0;
  }
  CHECK(statistics == 2);
  CHECK(has_text(model.notes.at(0), "28 parameters in 4 tensors train"));
}

TEST_CASE("sharing: weights come back into their Constant nodes") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).constant("w", {6, 4}, std::vector<float>(24, 0.5F));
  writer.node("MatMul", {"x", "w"}, {"y"}).output("y");
  const OnnxGraph graph = exported(writer, model_of(writer));
  CHECK(graph.constants.at("w").floats()[23] == 1.0F);
  CHECK(graph.constants.at("w").type.shape == Shape{6, 4});
}

}  // namespace ft
