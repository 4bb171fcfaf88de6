// Every model that PyTorch exported for the golden tests imports with the counts that were read
// from the files with ONNX's Python package. Layers: one for each Conv, Gemm, MatMul and pool.

#include <algorithm>
#include <doctest/doctest.h>

#include "onnx_import/import.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

struct GoldenModel {
  const char* file;
  int64_t parameter_elements;
  int64_t statistic_elements;
  int layers;
  int transposes;
};

constexpr GoldenModel kGoldenModels[] = {
    {"branches_infer_op14.onnx", 2134, 0, 7, 2},
    {"branches_train_op13_fixed8.onnx", 2134, 0, 7, 2},
    {"branches_train_op14.onnx", 2134, 0, 7, 2},
    {"lenet_infer_op13_fixed8.onnx", 18314, 0, 7, 2},
    {"lenet_train_op13.onnx", 18314, 0, 7, 2},
    {"lenet_train_op14.onnx", 18314, 0, 7, 2},
    {"mlp_dropout_infer_op14.onnx", 19410, 0, 3, 0},
    {"mlp_dropout_train_op13.onnx", 19410, 0, 3, 0},
    {"mlp_dropout_train_op14.onnx", 19410, 0, 3, 0},
    {"mlp_infer_op17.onnx", 19410, 0, 3, 0},
    {"mlp_train_op14.onnx", 19410, 0, 3, 0},
    {"mobilenetv2_frozen_op13.onnx", 42826, 4176, 54, 2},
    {"mobilenetv2_infer_op14.onnx", 40738, 0, 54, 2},
    {"mobilenetv2_short_train_op16.onnx", 27722, 2512, 36, 2},
    {"mobilenetv2_train_op14.onnx", 42826, 4176, 54, 2},
    {"resnet18_frozen_op14.onnx", 37402, 600, 23, 2},
    {"resnet18_infer_op13.onnx", 37102, 0, 23, 2},
    {"resnet18_train_op13.onnx", 37402, 600, 23, 2},
    {"resnet18_train_op14.onnx", 37402, 600, 23, 2},
    {"resnet18_train_op17_fixed8.onnx", 37402, 600, 23, 2},
    {"squeezenet_infer_op13.onnx", 47322, 0, 30, 2},
    {"squeezenet_train_op14.onnx", 47322, 0, 30, 2},
    {"tied_infer_op13_fixed8.onnx", 19690, 0, 4, 0},
    {"tied_train_op14.onnx", 19690, 0, 4, 0},
    {"vgg_bn_infer_op14.onnx", 32954, 0, 12, 2},
    {"vgg_bn_train_op13_fixed8.onnx", 33226, 272, 12, 2},
    {"vgg_bn_train_op14.onnx", 33226, 272, 12, 2},
};

int64_t elements_of(const Model& model, ValueKind kind) {
  int64_t count = 0;
  for (const Value& value : model.values) {
    if (value.kind == kind) count += value.type.shape.element_count();
  }
  return count;
}

// What every model holds, whatever is in it.
void check_invariants(const Model& model) {
  int32_t next = 0;
  size_t owned = 0;
  for (const Layer& layer : model.layers) {
    CHECK(layer.node_first == next);
    CHECK(layer.node_last > layer.node_first);
    next = layer.node_last;
    owned += layer.parameters.size() + layer.statistics.size();
    for (const ValueId id : layer.parameters) {
      const Value& value = model.value(id);
      CHECK(value.needs_gradient);
      CHECK(value.consumers.front() >= layer.node_first);
      CHECK(value.consumers.front() < layer.node_last);
    }
  }
  CHECK(next == static_cast<int32_t>(model.nodes.size()));
  size_t state = 0;
  for (const Value& value : model.values) {
    const bool is_state =
        value.kind == ValueKind::kParameter || value.kind == ValueKind::kStatistic;
    state += is_state;
    const bool has_bytes = is_state || value.kind == ValueKind::kConstant;
    CHECK((value.data != nullptr) == has_bytes);
    if (has_bytes) CHECK(static_cast<int64_t>(value.data->size()) == value.type.bytes());
    if (value.kind == ValueKind::kActivation) {
      CHECK(value.producer >= 0);
      for (const int32_t consumer : value.consumers) CHECK(consumer > value.producer);
    }
    CHECK((value.updates != kNoValue) == (value.kind == ValueKind::kUpdate));
  }
  CHECK(owned == state);
}

}  // namespace

TEST_CASE("golden models: counts, shapes and layers") {
  for (const GoldenModel& golden : kGoldenModels) {
    CAPTURE(golden.file);
    const Result<Model> model = import_model(read_golden(golden.file), {5});
    CHECK_MESSAGE(model.ok(), model.status().message());
    if (!model.ok()) continue;
    CHECK(elements_of(*model, ValueKind::kParameter) == golden.parameter_elements);
    CHECK(elements_of(*model, ValueKind::kStatistic) == golden.statistic_elements);
    CHECK(model->layer_count() == golden.layers);
    CHECK(model->value(model->output).type.shape == Shape{5, 10});
    CHECK(model->value(model->input).type.shape.dim(0) == 5);
    CHECK(model->value(model->input).name == "image");
    CHECK(count_ops(*model, "Transpose") == golden.transposes);
    check_invariants(*model);
  }
}

TEST_CASE("golden models: another batch size changes shapes and nothing else") {
  for (const GoldenModel& golden : kGoldenModels) {
    CAPTURE(golden.file);
    const std::vector<std::byte> file = read_golden(golden.file);
    const Result<Model> one = import_model(file, {1});
    const Result<Model> eight = import_model(file, {8});
    const Result<Model> ten = import_model(file, {10});  // also the number of classes
    CHECK_MESSAGE(one.ok(), one.status().message());
    if (!one.ok() || !eight.ok() || !ten.ok()) continue;
    CHECK(describe(*one, false) == describe(*eight, false));
    CHECK(describe(*one, false) == describe(*ten, false));
    CHECK(describe(*one, true) != describe(*eight, true));
    CHECK(one->sample_shape == eight->sample_shape);
  }
}

TEST_CASE("golden models: equal biases merged by an inference export are parameters of their own") {
  const Result<Model> model = import_model(read_golden("squeezenet_infer_op13.onnx"), {2});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  const ValueId first = find_value(*model, "features.0.bias");
  const ValueId copy = find_value(*model, "features.3.expand1x1.bias");
  REQUIRE(first != kNoValue);
  REQUIRE(copy != kNoValue);
  CHECK(model->value(first).consumers.size() == 1);
  CHECK(model->value(copy).kind == ValueKind::kParameter);
  CHECK(count_ops(*model, "Identity") == 0);
}

TEST_CASE("golden models: a layer applied twice has one weight, and it crosses the cut") {
  for (const char* file : {"tied_train_op14.onnx", "tied_infer_op13_fixed8.onnx"}) {
    const Result<Model> model = import_model(read_golden(file), {2});
    REQUIRE_MESSAGE(model.ok(), model.status().message());
    const ValueId shared = find_value(*model, "shared.weight");
    REQUIRE(shared != kNoValue);
    CHECK(model->value(shared).consumers.size() == 2);
    const std::vector<ValueId> crossing = crossing_values(*model, 2);
    CHECK(std::count(crossing.begin(), crossing.end(), shared) == 1);
    const std::vector<ValueId> before = crossing_values(*model, 1);
    CHECK(std::count(before.begin(), before.end(), shared) == 0);
  }
}

TEST_CASE("golden models: running statistics of a training export move, frozen ones do not") {
  const auto updates = [](const char* file) {
    const Result<Model> model = import_model(read_golden(file), {2});
    REQUIRE_MESSAGE(model.ok(), model.status().message());
    int count = 0;
    for (const Value& value : model->values) {
      if (value.kind != ValueKind::kUpdate) continue;
      ++count;
      CHECK(model->value(value.updates).kind == ValueKind::kStatistic);
      CHECK(model->value(value.updates).type == value.type);
      CHECK_FALSE(value.needs_gradient);
    }
    return count;
  };
  CHECK(updates("resnet18_train_op13.onnx") == 40);
  CHECK(updates("resnet18_train_op14.onnx") == 40);
  CHECK(updates("resnet18_frozen_op14.onnx") == 0);
}

TEST_CASE("golden models: dropout stays in training exports and vanishes where it drops nothing") {
  const auto dropouts = [](const char* file) {
    const Result<Model> model = import_model(read_golden(file), {2});
    REQUIRE_MESSAGE(model.ok(), model.status().message());
    return count_ops(*model, "Dropout");
  };
  CHECK(dropouts("mlp_dropout_train_op13.onnx") == 2);
  CHECK(dropouts("mlp_dropout_infer_op14.onnx") == 0);
  CHECK(dropouts("mobilenetv2_train_op14.onnx") == 0);  // its ratio is 0
}

}  // namespace ft
