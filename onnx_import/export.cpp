#include "onnx_import/export.h"

#include <map>
#include <set>

#include "onnx_import/forms.h"
#include "onnx_import/initializers.h"
#include "onnx_import/instance_norm.h"
#include "onnx_import/onnx_file.h"
#include "onnx_import/order.h"

namespace ft {
namespace {

// Nodes in inference form: batch norm with one output and no mode, dropout without a mode, instance
// norm as what it was trained as.
void edit_forms(const OnnxGraph& graph, OnnxEdits* edits) {
  const std::set<int> instance_norms = find_instance_norms(graph);
  for (const OnnxNode& node : graph.nodes) {
    OnnxNodeEdit edit;
    edit.index = node.index;
    if (instance_norms.count(node.index) != 0) {
      edit.op = "InstanceNormalization";
      edit.input_count = 3;
      edit.output_count = 1;
      edit.remove_attributes = {"training_mode", "momentum"};
      edits->nodes.push_back(edit);
    } else if (node.op == "BatchNormalization") {
      edit.output_count = 1;
      edit.remove_attributes = {"training_mode"};
      edits->nodes.push_back(edit);
    } else if (node.op == "Dropout") {
      edit.input_count = 2;
      edits->nodes.push_back(edit);
    }
  }
}

// The running statistics of training that an older exporter lists among the graph's outputs, and a
// dropout's mask.
std::vector<std::string> training_outputs(const OnnxGraph& graph) {
  std::set<std::string> training;
  for (const OnnxNode& node : graph.nodes) {
    if (node.op != "BatchNormalization" && node.op != "Dropout") continue;
    for (size_t i = 1; i < node.outputs.size(); ++i) training.insert(node.outputs[i]);
  }
  std::vector<std::string> outputs;
  for (const std::string& name : graph.outputs) {
    if (training.count(name) != 0) outputs.push_back(name);
  }
  return outputs;
}

}  // namespace

Result<std::vector<std::byte>> export_model(std::span<const std::byte> original, const Model& model,
                                            std::span<const ConstBufferPtr> state) {
  FT_CHECK(state.size() == model.values.size());
  FT_ASSIGN_OR_RETURN(OnnxGraph graph, parse_onnx(original));
  OnnxEdits edits;
  edits.remove_outputs = training_outputs(graph);
  edit_forms(graph, &edits);
  const std::vector<InitializerCopy> copies = split_initializers(&graph);
  std::map<std::string, std::string> sources;
  for (const InitializerCopy& copy : copies) sources[copy.name] = copy.source;
  std::set<std::string> written;
  for (size_t i = 0; i < model.values.size(); ++i) {
    const Value& value = model.values[i];
    if (value.kind != ValueKind::kParameter && value.kind != ValueKind::kStatistic) continue;
    FT_CHECK(state[i] != nullptr);
    // The copy of a fixed statistic that several batch norms read has not changed.
    const bool is_in_file = graph.initializers.count(value.name) != 0;
    if (value.kind == ValueKind::kStatistic && !is_in_file) continue;
    const auto source = sources.find(value.name);
    edits.initializers.push_back(
        {value.name, source == sources.end() ? value.name : source->second, state[i]});
    written.insert(value.name);
  }
  // A copy that is no parameter (the model does not read it) stays an Identity.
  for (const InitializerCopy& copy : copies) {
    if (written.count(copy.name) == 0) continue;
    OnnxNodeEdit edit;
    edit.index = copy.node;
    edit.remove = true;
    edits.nodes.push_back(edit);
  }
  return edit_onnx(original, edits);
}

}  // namespace ft
