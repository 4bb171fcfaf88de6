#include "onnx_import/forms.h"

#include <algorithm>

#include "onnx_import/pads.h"

namespace ft {
namespace {

int64_t int_attribute(const OnnxNode& node, const std::string& name, int64_t fallback) {
  const auto found = node.attributes.values().find(name);
  if (found == node.attributes.values().end()) return fallback;
  const int64_t* value = std::get_if<int64_t>(&found->second);
  return value == nullptr ? fallback : *value;
}

bool has_input(const OnnxNode& node, size_t index) {
  return node.inputs.size() > index && !node.inputs[index].empty();
}

void normalise_batch_norm(OnnxNode* node) {
  if (node->inputs.size() != 5 || node->outputs.empty() || node->outputs[0].empty()) {
    return;  // refused by the op
  }
  if (!is_training_batch_norm(*node)) {
    node->outputs.resize(1);
    return;
  }
  node->opset = std::max(node->opset, 14);
  node->attributes.set("training_mode", int64_t{1});
  node->outputs.resize(3);
  const char* const suffixes[] = {"", ":mean_next", ":variance_next"};
  for (size_t i = 1; i < 3; ++i) {
    if (node->outputs[i].empty()) node->outputs[i] = node->outputs[0] + suffixes[i];
  }
}

bool drops_nothing(const OnnxGraph& graph, const OnnxNode& node) {
  if (!has_input(node, 0) || node.outputs.empty()) return false;
  if (!is_training_dropout(graph, node)) return true;
  const Constant* ratio = has_input(node, 1) ? find_constant(graph, node.inputs[1]) : nullptr;
  return ratio != nullptr && ratio->is_float() && ratio->element_count() == 1 &&
         ratio->floats()[0] == 0.0F;
}

}  // namespace

bool is_training_batch_norm(const OnnxNode& node) {
  if (node.opset >= 14) return int_attribute(node, "training_mode", 0) != 0;
  return node.outputs.size() > 1;
}

bool is_training_dropout(const OnnxGraph& graph, const OnnxNode& node) {
  if (!has_input(node, 2)) return false;
  const Constant* mode = find_constant(graph, node.inputs[2]);
  return mode == nullptr || mode->is_float() || mode->element_count() != 1 || mode->ints()[0] != 0;
}

const Constant* find_constant(const OnnxGraph& graph, const std::string& name) {
  for (const auto* constants : {&graph.initializers, &graph.constants}) {
    const auto found = constants->find(name);
    if (found != constants->end()) return &found->second;
  }
  return nullptr;
}

void normalise_forms(OnnxGraph* graph) {
  for (OnnxNode& node : graph->nodes) {
    if (!node.domain.empty() || !node.unsupported.empty()) continue;
    if (node.op == "BatchNormalization") {
      normalise_batch_norm(&node);
    } else if (node.op == "Dropout" && drops_nothing(*graph, node)) {
      node.op = "Identity";
      node.inputs.resize(1);
      node.outputs.resize(1);
    }
  }
  absorb_pads(graph);
}

}  // namespace ft
