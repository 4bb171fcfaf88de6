#include "runtime/exec/layer_state.h"

#include <cmath>
#include <cstring>
#include <doctest/doctest.h>

#include "tests/exec/cluster.h"

TEST_CASE("layer state: a snapshot goes there and back") {
  const auto model = ft::test::golden_model("resnet18_train_op14.onnx", 1);
  for (int layer = 0; layer < model->layer_count(); ++layer) {
    const ft::LayerLayout layout = ft::layer_layout(*model, layer, ft::OptimizerOptions());
    const ft::LayerState state = ft::initial_state(*model, layer, layout);
    REQUIRE(static_cast<int64_t>(state.snapshot->size()) == layout.snapshot_bytes());
    const ft::BufferPtr arrived = ft::make_buffer(state.snapshot->size());
    std::memcpy(arrived->data(), state.snapshot->data(), arrived->size());
    const auto back = ft::from_snapshot(layout, arrived);
    REQUIRE(back.ok());
    CHECK(back->snapshot == arrived);
    CHECK(std::memcmp(back->statistics->data(), state.statistics->data(),
                      state.statistics->size()) == 0);
  }
}

TEST_CASE("layer state: a snapshot of another size is refused") {
  const auto model = ft::test::golden_model("lenet_train_op14.onnx", 1);
  const ft::LayerLayout layout = ft::layer_layout(*model, 0, ft::OptimizerOptions());
  const auto wrong = ft::make_buffer(static_cast<size_t>(layout.snapshot_bytes()) - 4);
  CHECK(!ft::from_snapshot(layout, wrong).ok());
}

TEST_CASE("layer state: the hash covers frozen parameters, which are in no layer's state") {
  const auto hash_of = [](const ft::Model& model) {
    std::vector<ft::LayerLayout> layouts;
    std::vector<ft::LayerState> states;
    for (int layer = 0; layer < model.layer_count(); ++layer) {
      layouts.push_back(ft::layer_layout(model, layer, ft::OptimizerOptions()));
      states.push_back(ft::initial_state(model, layer, layouts.back()));
    }
    return ft::weights_sha256(model, ft::values_of_states(model, layouts, states));
  };
  const auto model = ft::test::golden_model("lenet_train_op14.onnx", 1);
  ft::Model frozen = *model;
  ft::Layer& owner = frozen.layers[0];
  for (const ft::ValueId id : owner.parameters) {
    ft::Value& value = frozen.values[static_cast<size_t>(id)];
    value.kind = ft::ValueKind::kConstant;
    value.is_frozen = true;
  }
  owner.parameters.clear();
  CHECK(hash_of(frozen) == hash_of(*model));
  for (ft::Value& value : frozen.values) value.is_frozen = false;
  CHECK(hash_of(frozen) != hash_of(*model));
}

TEST_CASE("layer state: the hash depends on every parameter and statistic") {
  const auto model = ft::test::golden_model("resnet18_train_op14.onnx", 1);
  std::vector<ft::LayerLayout> layouts;
  std::vector<ft::LayerState> states;
  for (int layer = 0; layer < model->layer_count(); ++layer) {
    layouts.push_back(ft::layer_layout(*model, layer, ft::OptimizerOptions()));
    states.push_back(ft::initial_state(*model, layer, layouts.back()));
  }
  auto values = ft::values_of_states(*model, layouts, states);
  const std::string hash = ft::weights_sha256(*model, values);
  for (size_t id = 0; id < values.size(); ++id) {
    if (values[id] == nullptr) continue;
    const ft::ConstBufferPtr kept = values[id];
    ft::BufferPtr changed = ft::make_buffer(kept->size());
    std::memcpy(changed->data(), kept->data(), kept->size());
    changed->floats()[kept->size() / 4 - 1] += 1;
    values[id] = changed;
    CHECK(ft::weights_sha256(*model, values) != hash);
    values[id] = kept;
  }
}

TEST_CASE("layer state: a number that is not finite is found wherever it is, with its tensor") {
  const auto model = ft::test::golden_model("resnet18_train_op14.onnx", 1);
  ft::OptimizerOptions optimizer;
  optimizer.momentum = 0.9F;
  const ft::LayerLayout layout = ft::layer_layout(*model, 0, optimizer);
  const ft::LayerState state = ft::initial_state(*model, 0, layout);
  REQUIRE(layout.parameter_offsets.size() > 1);
  REQUIRE(layout.statistic_count > 0);
  CHECK(ft::check_finite(*model, 0, layout, *state.snapshot, 4).ok());
  const auto message = [&](int64_t element, float value) {
    const ft::BufferPtr changed = ft::make_buffer(state.snapshot->size());
    std::memcpy(changed->data(), state.snapshot->data(), changed->size());
    changed->floats()[element] = value;
    const ft::Status status = ft::check_finite(*model, 0, layout, *changed, 4);
    CHECK(status.code() == ft::StatusCode::kFailed);
    return status.message();
  };
  const auto name = [&](const std::vector<ft::ValueId>& ids, size_t i) {
    return "'" + model->value(ids[i]).name + "' holds ";
  };
  const ft::Layer& layer = model->layers[0];
  const auto contains = [](const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
  };
  const int64_t second = layout.parameter_offsets[1];
  const std::string first = message(second - 1, INFINITY);
  CHECK(contains(first, name(layer.parameters, 0) + "inf"));
  CHECK(contains(first, "after batch 5 "));
  CHECK(contains(first, "smaller --lr"));
  CHECK(contains(message(second, -INFINITY), name(layer.parameters, 1) + "-inf"));
  CHECK(contains(message(layout.parameter_count + second, NAN),
                 "the momentum of " + name(layer.parameters, 1) + "nan"));
  CHECK(contains(message(2 * layout.parameter_count, INFINITY), name(layer.statistics, 0)));
}
