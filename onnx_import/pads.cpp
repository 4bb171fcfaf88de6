#include "onnx_import/pads.h"

#include <algorithm>
#include <cmath>

#include "onnx_import/forms.h"

namespace ft {
namespace {

template <typename T>
T attribute(const OnnxNode& node, const std::string& name, T fallback) {
  const auto found = node.attributes.values().find(name);
  if (found == node.attributes.values().end()) return fallback;
  const T* value = std::get_if<T>(&found->second);
  return value == nullptr ? fallback : *value;
}

using Ints = std::vector<int64_t>;

bool has_input(const OnnxNode& node, size_t index) {
  return node.inputs.size() > index && !node.inputs[index].empty();
}

struct Padding {
  Ints amounts;    // around the spatial axes, begins then ends; empty: the Pad does something else
  float fill = 0;  // what it pads with
};

// What `pad` adds around axes 2 and up of a map.
Padding read_pad(const OnnxGraph& graph, const OnnxNode& pad) {
  if (attribute<std::string>(pad, "mode", "constant") != "constant") return {};
  Padding padding;
  if (has_input(pad, 2)) {
    const Constant* fill = find_constant(graph, pad.inputs[2]);
    if (fill == nullptr || !fill->is_float() || fill->element_count() != 1) return {};
    padding.fill = fill->floats()[0];
  }
  const Constant* amounts = has_input(pad, 1) ? find_constant(graph, pad.inputs[1]) : nullptr;
  if (amounts == nullptr || amounts->is_float() || has_input(pad, 3)) return {};
  const int64_t rank = amounts->element_count() / 2;
  if (rank < 3 || amounts->element_count() != 2 * rank) return {};
  for (int64_t i = 0; i < 2 * rank; ++i) {
    const int64_t amount = amounts->ints()[static_cast<size_t>(i)];
    if (amount < 0 || (i % rank < 2 && amount != 0)) return {};
    if (i % rank >= 2) padding.amounts.push_back(amount);
  }
  return padding;
}

// Whether no element of a value is below zero.
bool is_never_negative(const std::map<std::string, const OnnxNode*>& makers,
                       const std::string& name) {
  const auto maker = makers.find(name);
  if (maker == makers.end() || !maker->second->domain.empty()) return false;
  const std::string& op = maker->second->op;
  return op == "Relu" || op == "Sigmoid" || op == "HardSigmoid" || op == "Softmax";
}

// Whether `window` may see `padding` as pads of its own.
bool fits(const OnnxNode& window, const Padding& padding, bool is_never_negative) {
  if (attribute<int64_t>(window, "ceil_mode", 0) != 0) return false;
  const Ints pads = attribute<Ints>(window, "pads", {});
  const bool has_pads = std::any_of(pads.begin(), pads.end(), [](int64_t pad) { return pad != 0; });
  if (window.op == "Conv") return padding.fill == 0;
  if (window.op == "AveragePool") return padding.fill == 0 && !has_pads;
  const bool is_lowest = std::isinf(padding.fill) && padding.fill < 0;
  return window.op == "MaxPool" && (is_lowest || (padding.fill == 0 && is_never_negative)) &&
         !has_pads;
}

void widen(const Padding& padding, OnnxNode* window) {
  Ints pads = attribute<Ints>(*window, "pads", {});
  pads.resize(padding.amounts.size(), 0);
  for (size_t i = 0; i < pads.size(); ++i) pads[i] += padding.amounts[i];
  window->attributes.set("pads", pads);
  window->attributes.set("auto_pad", std::string("NOTSET"));
  if (window->op == "AveragePool") window->attributes.set("count_include_pad", int64_t{1});
}

bool is_window(const OnnxNode& node) {
  const std::string mode = attribute<std::string>(node, "auto_pad", "NOTSET");
  return (node.op == "Conv" || node.op == "AveragePool" || node.op == "MaxPool") &&
         node.domain.empty() && has_input(node, 0) && (mode == "NOTSET" || mode == "VALID");
}

}  // namespace

void absorb_pads(OnnxGraph* graph) {
  std::map<std::string, const OnnxNode*> makers;
  for (const OnnxNode& node : graph->nodes) {
    for (const std::string& output : node.outputs) makers[output] = &node;
  }
  for (OnnxNode& node : graph->nodes) {
    if (!is_window(node)) continue;
    const auto maker = makers.find(node.inputs[0]);
    if (maker == makers.end() || maker->second->op != "Pad" || !maker->second->domain.empty() ||
        !has_input(*maker->second, 0)) {
      continue;
    }
    const OnnxNode& pad = *maker->second;
    const Padding padding = read_pad(*graph, pad);
    // VALID ignores pads that stand beside it.
    if (attribute<std::string>(node, "auto_pad", "NOTSET") == "VALID") {
      node.attributes.set("pads", Ints());
    }
    const size_t known = attribute<Ints>(node, "pads", {}).size();
    if (padding.amounts.empty() || (known != 0 && known != padding.amounts.size()) ||
        !fits(node, padding, is_never_negative(makers, pad.inputs[0]))) {
      continue;
    }
    node.inputs[0] = pad.inputs[0];
    widen(padding, &node);
  }
}

}  // namespace ft
