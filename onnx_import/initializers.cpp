#include "onnx_import/initializers.h"

#include "onnx_import/forms.h"

namespace ft {
namespace {

void rename_inputs(OnnxGraph* graph, const std::map<std::string, std::string>& renames) {
  const auto rename = [&](std::string* name) {
    const auto found = renames.find(*name);
    if (found != renames.end()) *name = found->second;
  };
  for (OnnxNode& node : graph->nodes) {
    for (std::string& input : node.inputs) rename(&input);
  }
  for (std::string& output : graph->outputs) rename(&output);
}

bool is_initializer_identity(const OnnxGraph& graph, const OnnxNode& node) {
  return node.op == "Identity" && node.domain.empty() && node.inputs.size() == 1 &&
         node.outputs.size() == 1 && !node.outputs[0].empty() &&
         graph.initializers.count(node.inputs[0]) != 0;
}

// Inputs after the first are numbers, not data.
bool has_bounds(const OnnxNode& node) {
  return node.op == "Clip" || node.op == "Dropout" || node.op == "Pad";
}

}  // namespace

bool is_training_export(const OnnxGraph& graph) {
  for (const OnnxNode& node : graph.nodes) {
    if (node.op == "BatchNormalization" && is_training_batch_norm(node)) return true;
    if (node.op == "Dropout" && is_training_dropout(graph, node)) return true;
  }
  return false;
}

std::vector<InitializerCopy> split_initializers(OnnxGraph* graph) {
  const bool tied = is_training_export(*graph);
  std::vector<InitializerCopy> copies;
  std::map<std::string, std::string> originals;  // copy -> the initializer in the file
  std::map<std::string, std::string> renames;
  std::vector<OnnxNode> kept;
  for (OnnxNode& node : graph->nodes) {
    // A chain of Identities: its links were renamed or copied when their turn came.
    if (!node.inputs.empty() && renames.count(node.inputs[0]) != 0 && node.op == "Identity") {
      node.inputs[0] = renames[node.inputs[0]];
    }
    if (!is_initializer_identity(*graph, node)) {
      kept.push_back(std::move(node));
      continue;
    }
    const std::string& source = node.inputs[0];
    const std::string& name = node.outputs[0];
    if (tied) {
      renames[name] = source;
      continue;
    }
    const auto original = originals.find(source);
    originals[name] = original == originals.end() ? source : original->second;
    graph->initializers[name] = graph->initializers[source];
    graph->initializer_order.push_back(name);
    copies.push_back({node.index, name, originals[name]});
  }
  graph->nodes = std::move(kept);
  rename_inputs(graph, renames);
  return copies;
}

Result<std::map<std::string, InitializerRole>> find_roles(const OnnxGraph& graph) {
  std::map<std::string, InitializerRole> roles;
  std::set<std::string> statistics;
  std::set<std::string> others;
  for (const OnnxNode& node : graph.nodes) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const std::string& name = node.inputs[i];
      const auto found = graph.initializers.find(name);
      if (found == graph.initializers.end()) continue;
      const bool is_statistic = node.op == "BatchNormalization" && (i == 3 || i == 4);
      (is_statistic ? statistics : others).insert(name);
      if (statistics.count(name) != 0 && others.count(name) != 0) {
        return invalid_error(
            "initializer '%s' is a running statistic of a batch norm and is read "
            "elsewhere, too (node '%s'); export again without merging equal "
            "initializers",
            name.c_str(), node.name.c_str());
      }
      const Constant& tensor = found->second;
      InitializerRole& role = roles.emplace(name, InitializerRole::kConstant).first->second;
      if (is_statistic) {
        role = InitializerRole::kStatistic;
      } else if (tensor.is_float() && tensor.type.shape.rank() > 0 &&
                 !(i > 0 && has_bounds(node))) {
        role = InitializerRole::kParameter;
      }
    }
  }
  return roles;
}

}  // namespace ft
