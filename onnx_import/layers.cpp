#include "onnx_import/layers.h"

#include <algorithm>
#include <string_view>

namespace ft {
namespace {

constexpr int32_t kNotWeight = -1;

// Of each value that depends on weights alone: the first node of those that compute it, or
// kWeightLeaf for a weight itself; kNotWeight for all others.
constexpr int32_t kWeightLeaf = INT32_MAX;

std::vector<int32_t> find_weight_nodes(const Model& model) {
  std::vector<int32_t> first(model.values.size(), kNotWeight);
  for (size_t i = 0; i < model.values.size(); ++i) {
    const ValueKind kind = model.values[i].kind;
    if (kind == ValueKind::kParameter || kind == ValueKind::kConstant) first[i] = kWeightLeaf;
  }
  for (size_t i = 0; i < model.nodes.size(); ++i) {
    int32_t earliest = static_cast<int32_t>(i);
    bool is_weight = true;
    for (const ValueId id : model.nodes[i].inputs) {
      if (id == kNoValue) continue;
      is_weight = is_weight && first[static_cast<size_t>(id)] != kNotWeight;
      earliest = std::min(earliest, first[static_cast<size_t>(id)]);
    }
    for (const ValueId id : model.nodes[i].outputs) {
      if (id != kNoValue && is_weight) first[static_cast<size_t>(id)] = earliest;
    }
  }
  return first;
}

bool is_pool(std::string_view op) {
  return op == "MaxPool" || op == "AveragePool" || op == "GlobalAveragePool" ||
         op == "GlobalMaxPool";
}

// Of each value: whether it is a parameter or made of parameters; frozen ones count.
std::vector<bool> find_parameter_values(const Model& model) {
  std::vector<bool> found(model.values.size());
  for (size_t i = 0; i < model.values.size(); ++i) {
    found[i] = model.values[i].kind == ValueKind::kParameter || model.values[i].is_frozen;
  }
  for (const Node& node : model.nodes) {
    bool has_parameter = false;
    for (const ValueId id : node.inputs) {
      has_parameter = has_parameter || (id != kNoValue && found[static_cast<size_t>(id)]);
    }
    for (const ValueId id : node.outputs) {
      if (id != kNoValue && has_parameter) found[static_cast<size_t>(id)] = true;
    }
  }
  return found;
}

// The first node of a layer that node `index` begins, or -1 when it is light.
int32_t layer_start(const Model& model, const std::vector<int32_t>& weight_nodes,
                    const std::vector<bool>& parameters, int32_t index) {
  const Node& node = model.nodes[static_cast<size_t>(index)];
  if (is_pool(node.op->name)) return index;
  const LayoutRule layout = node.op->layout;
  if (layout == LayoutRule::kElementwise || layout == LayoutRule::kAxis) return -1;
  bool has_weight = false;
  bool has_data = false;
  int32_t start = index;
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) continue;
    const Value& value = model.value(id);
    const int32_t weight_node = weight_nodes[static_cast<size_t>(id)];
    if (weight_node == kNotWeight) {
      has_data = has_data || value.kind != ValueKind::kStatistic;
    } else if (parameters[static_cast<size_t>(id)] && value.type.shape.rank() >= 2) {
      has_weight = true;
      start = std::min(start, weight_node);
    }
  }
  return has_weight && has_data ? start : -1;
}

// A parameter belongs to the layer of its first consumer, a statistic likewise.
void assign_state(Model* model) {
  size_t next = 0;
  std::vector<size_t> layer_of(model->nodes.size());
  for (size_t i = 0; i < model->nodes.size(); ++i) {
    while (static_cast<int32_t>(i) >= model->layers[next].node_last) ++next;
    layer_of[i] = next;
  }
  for (size_t i = 0; i < model->values.size(); ++i) {
    const Value& value = model->values[i];
    if (value.consumers.empty()) continue;
    Layer& layer = model->layers[layer_of[static_cast<size_t>(value.consumers.front())]];
    if (value.kind == ValueKind::kParameter) layer.parameters.push_back(static_cast<ValueId>(i));
    if (value.kind == ValueKind::kStatistic) layer.statistics.push_back(static_cast<ValueId>(i));
  }
}

}  // namespace

void make_layers(Model* model) {
  const std::vector<int32_t> weight_nodes = find_weight_nodes(*model);
  const std::vector<bool> parameters = find_parameter_values(*model);
  const int32_t node_count = static_cast<int32_t>(model->nodes.size());
  model->layers.clear();
  int32_t last_heavy = -1;
  for (int32_t i = 0; i < node_count; ++i) {
    int32_t start = layer_start(*model, weight_nodes, parameters, i);
    if (start < 0) continue;
    if (start <= last_heavy) start = i;  // a weight that an earlier layer made
    if (model->layers.empty()) start = 0;
    if (!model->layers.empty()) model->layers.back().node_last = start;
    Layer layer;
    layer.name = model->nodes[static_cast<size_t>(i)].name;
    layer.node_first = start;
    layer.node_last = node_count;
    model->layers.push_back(std::move(layer));
    last_heavy = i;
  }
  if (model->layers.empty()) {
    Layer layer;
    layer.name = model->nodes.front().name;
    layer.node_last = node_count;
    model->layers.push_back(std::move(layer));
  }
  assign_state(model);
}

}  // namespace ft
