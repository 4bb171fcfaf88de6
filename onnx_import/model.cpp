#include "onnx_import/model.h"

#include <algorithm>

namespace ft {

std::shared_ptr<const Model> without_weights(const Model& model) {
  auto light = std::make_shared<Model>(model);
  for (int layer = 0; layer < light->layer_count(); ++layer) drop_weights(light.get(), layer);
  return light;
}

void drop_weights(Model* model, int layer) {
  const Layer& owner = model->layers[static_cast<size_t>(layer)];
  for (const auto* ids : {&owner.parameters, &owner.statistics}) {
    for (const ValueId id : *ids) model->values[static_cast<size_t>(id)].data = nullptr;
  }
}

std::vector<OpInput> op_inputs(const Model& model, const Node& node) {
  std::vector<OpInput> inputs;
  inputs.reserve(node.inputs.size());
  for (const ValueId id : node.inputs) {
    OpInput input;
    if (id == kNoValue) {
      input.present = false;
    } else {
      const Value& value = model.value(id);
      input.type = value.type;
      if (value.kind == ValueKind::kConstant) input.constant = value.data->data();
    }
    inputs.push_back(input);
  }
  return inputs;
}

std::vector<ValueId> crossing_values(const Model& model, int cut) {
  if (cut == model.layer_count()) return {model.output};
  const int32_t node_cut = model.layers[static_cast<size_t>(cut)].node_first;
  std::vector<ValueId> crossing;
  for (size_t i = 0; i < model.values.size(); ++i) {
    const Value& value = model.values[i];
    if (value.kind == ValueKind::kConstant || value.kind == ValueKind::kStatistic ||
        value.kind == ValueKind::kUpdate || value.consumers.empty()) {
      continue;
    }
    // A parameter is born in the layer of its first consumer, the input before the first layer.
    // Where it is owned it is state; it crosses only to reach another layer.
    const int32_t born = value.kind == ValueKind::kParameter ? value.consumers.front()
                         : value.kind == ValueKind::kInput   ? -1
                                                             : value.producer;
    if (born < node_cut && value.consumers.back() >= node_cut) {
      crossing.push_back(static_cast<ValueId>(i));
    }
  }
  // The output may be made early and read by nobody: it still has to reach the last stage.
  const Value& output = model.value(model.output);
  if (output.producer < node_cut &&
      (output.consumers.empty() || output.consumers.back() < node_cut)) {
    crossing.push_back(model.output);
    std::sort(crossing.begin(), crossing.end());
  }
  return crossing;
}

int64_t crossing_bytes(const Model& model, int cut, bool gradients) {
  int64_t bytes = 0;
  for (const ValueId id : crossing_values(model, cut)) {
    const Value& value = model.value(id);
    if (!gradients || value.needs_gradient) bytes += value.type.bytes();
  }
  return bytes;
}

}  // namespace ft
