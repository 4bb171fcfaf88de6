#include "onnx_import/forms.h"

#include <algorithm>

namespace ft {
namespace {

int64_t int_attribute(const OnnxNode& node, const std::string& name, int64_t fallback) {
  const auto found = node.attributes.values().find(name);
  if (found == node.attributes.values().end()) return fallback;
  const int64_t* value = std::get_if<int64_t>(&found->second);
  return value == nullptr ? fallback : *value;
}

std::vector<int64_t> ints_attribute(const OnnxNode& node, const std::string& name) {
  const auto found = node.attributes.values().find(name);
  if (found == node.attributes.values().end()) return {};
  const auto* value = std::get_if<std::vector<int64_t>>(&found->second);
  return value == nullptr ? std::vector<int64_t>() : *value;
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

// How much `pad` adds around the last `spatial` axes, begins then ends; empty when it pads
// anything else, or with anything but zeros.
std::vector<int64_t> zero_pads(const OnnxGraph& graph, const OnnxNode& pad, size_t spatial) {
  const auto mode = pad.attributes.values().find("mode");
  if (mode != pad.attributes.values().end()) {
    const std::string* text = std::get_if<std::string>(&mode->second);
    if (text == nullptr || *text != "constant") return {};
  }
  if (has_input(pad, 2)) {
    const Constant* fill = find_constant(graph, pad.inputs[2]);
    if (fill == nullptr || !fill->is_float() || fill->element_count() != 1 ||
        fill->floats()[0] != 0.0F) {
      return {};
    }
  }
  const Constant* amounts = has_input(pad, 1) ? find_constant(graph, pad.inputs[1]) : nullptr;
  const int64_t rank = static_cast<int64_t>(spatial) + 2;
  if (amounts == nullptr || amounts->is_float() || amounts->element_count() != 2 * rank) return {};
  std::vector<int64_t> pads;
  for (int64_t i = 0; i < 2 * rank; ++i) {
    const int64_t amount = amounts->ints()[static_cast<size_t>(i)];
    if (amount < 0) return {};
    if (i % rank >= 2) {
      pads.push_back(amount);
    } else if (amount != 0) {
      return {};
    }
  }
  return pads;
}

// ceil_mode counts the windows that hang over the edge differently for pads of its own.
bool can_take_pads(const OnnxNode& pool) {
  const std::vector<int64_t> pads = ints_attribute(pool, "pads");
  return pool.op == "AveragePool" && has_input(pool, 0) && !pool.attributes.has("auto_pad") &&
         int_attribute(pool, "ceil_mode", 0) == 0 &&
         std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad == 0; });
}

void absorb_pads(OnnxGraph* graph) {
  std::map<std::string, const OnnxNode*> pads;
  for (const OnnxNode& node : graph->nodes) {
    if (node.op == "Pad" && node.outputs.size() == 1 && has_input(node, 0)) {
      pads[node.outputs[0]] = &node;
    }
  }
  for (OnnxNode& node : graph->nodes) {
    if (!can_take_pads(node)) continue;
    const auto pad = pads.find(node.inputs[0]);
    if (pad == pads.end()) continue;
    const size_t spatial = ints_attribute(node, "kernel_shape").size();
    const std::vector<int64_t> amounts = zero_pads(*graph, *pad->second, spatial);
    if (amounts.empty()) continue;
    node.inputs[0] = pad->second->inputs[0];
    node.attributes.set("pads", amounts);
    node.attributes.set("count_include_pad", int64_t{1});
  }
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
