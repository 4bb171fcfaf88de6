#include "onnx_import/ending.h"

#include <doctest/doctest.h>

#include "onnx_import/import.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

// x [N, 6] -> Gemm -> z [N, 5], and what `write` adds, which ends in y.
template <typename Write>
Model import(const Write& write, bool cross_entropy = true, int64_t batch = 3) {
  OnnxWriter writer(14);
  writer.input("x", {-1, 6}).weight("w", {5, 6}).weight("b", {5});
  writer.node("Gemm", {"x", "w", "b"}, {"z"}, {{"transB", int64_t{1}}});
  write(&writer);
  writer.output("y");
  ImportOptions options;
  options.batch = batch;
  options.cross_entropy = cross_entropy;
  Result<Model> model = import_model(writer.bytes(), options);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return std::move(*model);
}

int softmaxes(const Model& model) {
  return count_ops(model, "Softmax") + count_ops(model, "LogSoftmax");
}

}  // namespace

TEST_CASE("ending: a Softmax or LogSoftmax over the classes is left to cross-entropy, and said") {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const int64_t axis : {-1, 1}) {
      const auto write = [&](OnnxWriter* w) { w->node(op, {"z"}, {"y"}, {{"axis", axis}}); };
      const Model cut = import(write);
      CHECK(softmaxes(cut) == 0);
      CHECK(cut.value(cut.output).name == "z");
      REQUIRE(cut.notes.size() == 2);  // the first says what trains
      CHECK(cut.notes[1].find(std::string("ends in ") + op + " ('y')") != std::string::npos);
      const Model whole = import(write, false);
      CHECK(softmaxes(whole) == 1);
      CHECK(whole.notes.size() == 1);
    }
  }
}

TEST_CASE("ending: views that keep or drop axes of one element may stand around it") {
  const auto squeezed = [](OnnxWriter* w) {
    w->constant("shape", {4}, std::vector<int64_t>{0, 5, 1, 1});
    w->constant("axes", {2}, std::vector<int64_t>{2, 3});
    w->node("Reshape", {"z", "shape"}, {"r"});
    w->node("Softmax", {"r"}, {"s"}, {{"axis", int64_t{1}}});
    w->node("Squeeze", {"s", "axes"}, {"q"});
    w->node("Identity", {"q"}, {"y"});
  };
  const auto flattened = [](OnnxWriter* w) {
    w->constant("axes", {1}, std::vector<int64_t>{1});
    w->node("Unsqueeze", {"z", "axes"}, {"u"});
    w->node("Softmax", {"u"}, {"s"}, {{"axis", int64_t{2}}});
    w->node("Flatten", {"s"}, {"y"}, {{"axis", int64_t{1}}});
  };
  // A pool leaves feature maps, in the order C, N.
  const auto pooled = [](OnnxWriter* w) {
    w->constant("shape", {4}, std::vector<int64_t>{0, 5, 1, 1});
    w->node("Reshape", {"z", "shape"}, {"r"});
    w->node("GlobalAveragePool", {"r"}, {"g"});
    w->node("Softmax", {"g"}, {"s"}, {{"axis", int64_t{1}}});
    w->node("Flatten", {"s"}, {"y"}, {{"axis", int64_t{1}}});
  };
  for (const int64_t batch : {1, 3, 5}) {
    for (const Model& model : {import(squeezed, true, batch), import(flattened, true, batch),
                               import(pooled, true, batch)}) {
      CHECK(softmaxes(model) == 0);
      CHECK(model.notes.size() == 2);
      CHECK(model.value(model.output).type.shape == Shape{batch, 5});
    }
  }
}

TEST_CASE("ending: what is no distribution over the classes stays") {
  CHECK(softmaxes(import([](OnnxWriter* w) {  // over the batch
          w->node("Softmax", {"z"}, {"y"}, {{"axis", int64_t{0}}});
        })) == 1);
  CHECK(softmaxes(import([](OnnxWriter* w) {  // over one element
          w->constant("axes", {1}, std::vector<int64_t>{1});
          w->node("Unsqueeze", {"z", "axes"}, {"u"});
          w->node("Softmax", {"u"}, {"y"}, {{"axis", int64_t{1}}});
        })) == 1);
  CHECK(softmaxes(import([](OnnxWriter* w) {  // an attention's, say
          w->weight("v", {5, 5});
          w->node("Softmax", {"z"}, {"s"}, {{"axis", int64_t{1}}});
          w->node("MatMul", {"s", "v"}, {"y"});
        })) == 1);
  const Model shared = import([](OnnxWriter* w) {  // read by more than the end
    w->node("Softmax", {"z"}, {"s"}, {{"axis", int64_t{1}}});
    w->node("Mul", {"s", "z"}, {"y"});
  });
  CHECK(softmaxes(shared) == 1);
  CHECK(shared.notes.size() == 1);
}

TEST_CASE("ending: the last operator is found behind views") {
  const Model model = import([](OnnxWriter* w) {
    w->constant("shape", {4}, std::vector<int64_t>{0, 5, 1, 1});
    w->node("Sigmoid", {"z"}, {"s"});
    w->node("Reshape", {"s", "shape"}, {"y"});
  });
  const int32_t last = last_operator(model, model.output);
  REQUIRE(last >= 0);
  CHECK(model.nodes[static_cast<size_t>(last)].name == "s");
}

}  // namespace ft
