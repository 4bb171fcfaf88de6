// What a tensor is: trained, buffer, number, by what the nodes do with it.

#include <functional>

#include "tests/onnx_import/tensor_helpers.h"

namespace ft {
namespace {

using Floats = std::vector<float>;

// x {batch, 3, 5, 5} -> `before` -> Conv -> mean -> y.
OnnxWriter images(const std::function<std::string(OnnxWriter*)>& before) {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 5, 5}).weight("c.weight", {4, 3, 3, 3}).weight("c.bias", {4});
  const std::string sample = before(&writer);
  writer.node("Conv", {sample, "c.weight", "c.bias"}, {"map"});
  writer.node("GlobalAveragePool", {"map"}, {"mean"}).node("Flatten", {"mean"}, {"y"});
  return writer.output("y");
}

// x {batch, 6} -> Gemm -> h.
OnnxWriter rows() {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("w", {6, 6}).node("Gemm", {"x", "w"}, {"h"});
  return writer;
}

}  // namespace

TEST_CASE("roles: what is joined with the sample before any weight normalises it") {
  const Model plain = model_of(images([](OnnxWriter* writer) {
    writer->weight("mean_", {1, 3, 1, 1}).weight("spread", {1, 3, 1, 1});
    writer->node("Sub", {"x", "mean_"}, {"a"}).node("Div", {"a", "spread"}, {"b"});
    return std::string("b");
  }));
  CHECK(role_of(plain, "mean_") == TensorRole::kBuffer);
  CHECK(role_of(plain, "spread") == TensorRole::kBuffer);
  CHECK(role_of(plain, "c.weight") == TensorRole::kTrained);
  CHECK(has_text(tensor_of(plain, "spread").reason, "normalises the input: Div 'b'"));
  CHECK(find_value(plain, "mean_") != kNoValue);
  CHECK(plain.value(find_value(plain, "mean_")).kind == ValueKind::kConstant);
  CHECK(plain.notes.at(0) ==
        "112 parameters in 2 tensors train; 2 buffers do not (ftrun inspect "
        "lists them; --train NAME, --freeze NAME)");
}

TEST_CASE("roles: a buffer is found behind shapes, casts and numbers, on both sides") {
  const Model model = model_of(images([](OnnxWriter* writer) {
    writer->weight("mean_", {3}).weight("k", {3, 1, 1});
    writer->constant("two", {}, Floats{2}).constant("axes", {2}, std::vector<int64_t>{1, 2});
    writer->node("Unsqueeze", {"mean_", "axes"}, {"m"}).node("Mul", {"x", "two"}, {"x2"});
    writer->node("Transpose", {"x2"}, {"t"}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
    writer->node("Identity", {"t"}, {"i"}).node("Sub", {"i", "m"}, {"s"});
    writer->node("Mul", {"k", "s"}, {"b"});
    return std::string("b");
  }));
  CHECK(role_of(model, "mean_") == TensorRole::kBuffer);
  CHECK(role_of(model, "k") == TensorRole::kBuffer);
}

TEST_CASE("roles: a norm's own scale trains on the sample itself") {
  const Model model = model_of(images([](OnnxWriter* writer) {
    writer->weight("norm.weight", {3, 1, 1}).weight("scale", {3, 1, 1});
    writer->node("Mul", {"x", "norm.weight"}, {"a"}).node("Mul", {"a", "scale"}, {"b"});
    return std::string("b");
  }));
  CHECK(role_of(model, "norm.weight") == TensorRole::kTrained);
  CHECK(role_of(model, "scale") == TensorRole::kTrained);  // a weight came before
}

TEST_CASE("roles: scalars behind a weight are parameters, numbers of the exporter's are not") {
  OnnxWriter writer = rows();
  writer.weight("temperature", {}).weight("gate", {1}).weight("val_12", {});
  writer.constant("half", {}, Floats{0.5F});
  writer.node("Div", {"h", "temperature"}, {"a"}).node("Mul", {"a", "gate"}, {"b"});
  writer.node("Mul", {"b", "val_12"}, {"c"}).node("Mul", {"c", "half"}, {"y"}).output("y");
  const Model model = model_of(writer);
  CHECK(role_of(model, "temperature") == TensorRole::kTrained);
  CHECK(role_of(model, "gate") == TensorRole::kTrained);
  CHECK(role_of(model, "val_12") == TensorRole::kConstant);
  CHECK(role_of(model, "half") == TensorRole::kConstant);
  CHECK(has_text(model.notes.at(0), "38 parameters in 3 tensors train; 1 scalar does not"));
  CHECK(role_of(model_of(writer, {{}, {"val_12"}, {}, {}}), "val_12") == TensorRole::kTrained);
  CHECK(role_of(model_of(writer, {{}, {"half"}, {}, {}}), "half") == TensorRole::kTrained);
}

TEST_CASE("roles: masks and what is called a buffer do not train") {
  OnnxWriter writer = rows();
  writer.initializer(float_tensor("lower", {2, 3}, {0, -3.4e38F, 0, 0, 0, -3.4e38F}));
  writer.initializer(float_tensor("triangle", {2, 3}, {1, 0, 0, 1, 1, 0}));
  writer.weight("encoder.pe", {2, 3}).weight("shift", {2, 3});
  writer.constant("shape", {3}, std::vector<int64_t>{-1, 2, 3});
  writer.node("Reshape", {"h", "shape"}, {"r"}).node("Add", {"r", "lower"}, {"a"});
  writer.node("Mul", {"a", "triangle"}, {"b"}).node("Add", {"b", "encoder.pe"}, {"c"});
  writer.node("Add", {"c", "shift"}, {"y"}).output("y");
  const Model model = model_of(writer);
  CHECK(role_of(model, "lower") == TensorRole::kBuffer);
  CHECK(role_of(model, "triangle") == TensorRole::kBuffer);
  CHECK(role_of(model, "encoder.pe") == TensorRole::kBuffer);
  CHECK(role_of(model, "shift") == TensorRole::kTrained);
}

TEST_CASE("roles: the mask of pruned weights does not train, the weights do") {
  OnnxWriter writer = rows();
  writer.weight("orig", {6, 6});
  std::vector<float> ones(36, 1);
  ones[7] = 0;
  writer.initializer(float_tensor("kept", {6, 6}, ones));
  writer.node("Mul", {"orig", "kept"}, {"weight"}).node("MatMul", {"h", "weight"}, {"y"});
  const Model model = model_of(writer.output("y"));
  CHECK(role_of(model, "orig") == TensorRole::kTrained);
  CHECK(role_of(model, "kept") == TensorRole::kBuffer);
}

TEST_CASE("roles: weights in Constant nodes train where weights stand") {
  const auto file = [](bool is_pytorch, const std::string& filter) {
    OnnxWriter writer;
    if (is_pytorch) writer.producer("pytorch", "1.13.0");
    writer.input("x", {-1, 3, 5, 5}).weight("w", {4, 3, 1, 1}).node("Conv", {"x", "w"}, {"h"});
    writer.constant(filter, {2, 4, 1, 1}, Floats(8, 0.5F)).constant("b", {2}, Floats{0, 1});
    writer.node("Conv", {"h", filter, "b"}, {"m"});
    return writer.node("GlobalAveragePool", {"m"}, {"y"}).output("y");
  };
  const Model model = model_of(file(false, "f"));
  CHECK(role_of(model, "f") == TensorRole::kTrained);
  CHECK(role_of(model, "b") == TensorRole::kTrained);
  CHECK(has_text(model.notes.at(0), "22 parameters in 3 tensors train"));
  CHECK(role_of(model_of(file(true, "f")), "f") == TensorRole::kTrained);
  // PyTorch's parameters are initializers: this is a filter that the program spells out.
  const Model literal = model_of(file(true, "/Constant_output_0"));
  CHECK(role_of(literal, "/Constant_output_0") == TensorRole::kConstant);
  CHECK(has_text(tensor_of(literal, "/Constant_output_0").reason, "a literal of the program"));
}

TEST_CASE("roles: a person's word counts, and is refused where it cannot") {
  OnnxWriter writer = rows();
  writer.weight("a.weight", {6, 6}).weight("a.bias", {6}).weight("low", {});
  writer.node("Gemm", {"h", "a.weight", "a.bias"}, {"g"}).node("Clip", {"g", "low"}, {"y"});
  writer.output("y");
  const Model frozen = model_of(writer, {{"a.*"}, {}, {}, {}});
  CHECK(role_of(frozen, "a.weight") == TensorRole::kFrozen);
  CHECK(frozen.value(find_value(frozen, "a.weight")).is_frozen);
  CHECK(frozen.layers.size() == model_of(writer).layers.size());
  CHECK(has_text(frozen.notes.at(0),
                 "36 parameters in 1 tensor train; 2 frozen tensors and 1 "
                 "scalar do not"));
  const Model head = model_of(writer, {{"*"}, {"a.bia?"}, {}, {}});
  CHECK(role_of(head, "w") == TensorRole::kFrozen);
  CHECK(role_of(head, "a.bias") == TensorRole::kTrained);
  CHECK(has_text(refusal_of(writer, {{"a.wieght"}, {}, {}, {}}), "the nearest are 'a.weight'"));
  CHECK(has_text(refusal_of(writer, {{}, {"low"}, {}, {}}),
                 "--train low: it cannot train: a number that Clip"));
  CHECK(has_text(refusal_of(writer, {{"low"}, {}, {}, {}}), "does not train anyway"));
  const std::string none = refusal_of(writer, {{"*"}, {}, {}, {}});
  CHECK(has_text(none, "nothing in the model trains: 'w' is frozen (--freeze *)"));
}

TEST_CASE("roles: a model that only normalises has nothing to train") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("mean", {6}).node("Sub", {"x", "mean"}, {"y"}).output("y");
  CHECK(has_text(refusal_of(writer, {}), "nothing in the model trains: 'mean' is a buffer"));
  CHECK(role_of(model_of(writer, {{}, {"mean"}, {}, {}}), "mean") == TensorRole::kTrained);
}

TEST_CASE("roles: a batch norm that was folded away is said, with the call that keeps it") {
  const auto file = [](const std::string& version, const std::string& weight,
                       const std::string& bias) {
    OnnxWriter writer;
    writer.producer("pytorch", version).input("x", {-1, 3, 5, 5});
    writer.weight(weight, {4, 3, 3, 3}).weight(bias, {4}).node("Conv", {"x", weight, bias}, {"m"});
    return model_of(writer.node("GlobalAveragePool", {"m"}, {"y"}).output("y"));
  };
  const Model old = file("1.13.0", "onnx::Conv_27", "onnx::Conv_28");
  REQUIRE(old.notes.size() == 2);
  CHECK(has_text(old.notes[1], "behind 1 convolution was folded into it"));
  CHECK(has_text(old.notes[1], "do_constant_folding=False, opset_version=14"));
  CHECK_FALSE(has_text(old.notes[1], "dynamo=False"));
  const Model recent = file("2.9.1", "c.weight", "c.weight_bias");
  REQUIRE(recent.notes.size() == 2);
  CHECK(has_text(recent.notes[1], "dynamo=False"));
  CHECK(file("1.13.0", "c.weight", "c.bias").notes.size() == 1);
}

}  // namespace ft
