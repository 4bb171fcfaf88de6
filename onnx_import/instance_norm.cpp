#include "onnx_import/instance_norm.h"

#include <algorithm>

#include "onnx_import/forms.h"

namespace ft {
namespace {

// The target of a Reshape to one sample; null if it is none.
const Constant* one_sample_target(const OnnxGraph& graph, const OnnxNode& node) {
  if (node.op != "Reshape" || !node.domain.empty() || node.inputs.size() != 2) return nullptr;
  const Constant* target = find_constant(graph, node.inputs[1]);
  if (target == nullptr || target->is_float() || target->element_count() < 3 ||
      target->ints()[0] != 1) {
    return nullptr;
  }
  return target;
}

bool is_one_sample_file(const OnnxGraph& graph) {
  return graph.inputs.size() == 1 && !graph.inputs[0].dims.empty() &&
         !graph.inputs[0].dims[0].is_symbolic && graph.inputs[0].dims[0].value == 1;
}

}  // namespace

std::set<int> find_instance_norms(const OnnxGraph& graph) {
  std::set<int> found;
  if (!is_one_sample_file(graph)) return found;
  std::map<std::string, const OnnxNode*> makers;
  std::map<std::string, std::vector<const OnnxNode*>> readers;
  for (const OnnxNode& node : graph.nodes) {
    for (const std::string& name : node.outputs) makers[name] = &node;
    for (const std::string& name : node.inputs) readers[name].push_back(&node);
  }
  for (const OnnxNode& node : graph.nodes) {
    if (node.op != "BatchNormalization" || !node.domain.empty() || node.inputs.size() != 5 ||
        node.outputs.empty() || !is_training_batch_norm(node)) {
      continue;
    }
    const auto maker = makers.find(node.inputs[0]);
    const std::vector<const OnnxNode*>& behind = readers[node.outputs[0]];
    if (maker == makers.end() || behind.size() != 1) continue;
    const Constant* before = one_sample_target(graph, *maker->second);
    const Constant* after = one_sample_target(graph, *behind[0]);
    if (before != nullptr && after != nullptr &&
        std::equal(before->ints().begin(), before->ints().end(), after->ints().begin(),
                   after->ints().end())) {
      found.insert(node.index);
    }
  }
  return found;
}

void rewrite_instance_norms(OnnxGraph* graph) {
  const std::set<int> found = find_instance_norms(*graph);
  for (OnnxNode& node : graph->nodes) {
    if (found.count(node.index) == 0) continue;
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      graph->outputs.erase(
          std::remove(graph->outputs.begin(), graph->outputs.end(), node.outputs[i]),
          graph->outputs.end());
    }
    node.op = "InstanceNormalization";
    node.inputs.resize(3);
    node.outputs.resize(1);
  }
}

}  // namespace ft
