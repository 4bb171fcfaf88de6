#include "onnx_import/export.h"

#include <map>
#include <set>

#include "onnx_import/forms.h"
#include "onnx_import/instance_norm.h"
#include "onnx_import/onnx_file.h"

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

// Each tensor as the file has it: replaced where it stands, or, if the file has one tensor for it
// and another, written as an initializer of its own that its readers read.
class TensorEdits {
 public:
  TensorEdits(const Model& model, std::span<const ConstBufferPtr> state, OnnxEdits* edits)
      : edits_(*edits) {
    for (const TensorInfo& tensor : model.tensors) tensors_[tensor.name] = &tensor;
    for (size_t i = 0; i < model.values.size(); ++i) {
      const Value& value = model.values[i];
      const bool is_state =
          value.kind == ValueKind::kParameter || value.kind == ValueKind::kStatistic;
      FT_CHECK(!is_state || state[i] != nullptr);
      if (is_state) bytes_[value.name] = state[i];
    }
    for (const TensorInfo& tensor : model.tensors) {
      if (tensor.role == TensorRole::kFrozen) bytes_[tensor.name] = tensor.data;
    }
  }

  void add(const TensorInfo& tensor) {
    const auto bytes = bytes_.find(root(tensor.name));
    // A number, or nothing that the model's output depends on.
    if (bytes == bytes_.end()) return;
    const bool is_copy = !tensor.copy_of.empty();
    if (is_copy && root(tensor.copy_of) == root(tensor.name)) return;
    if (tensor.constant_node >= 0) {
      node(tensor.constant_node)->constant = bytes->second;
      return;
    }
    edits_.initializers.push_back({tensor.name, tensor.shape, is_copy, bytes->second});
    if (tensor.identity >= 0) node(tensor.identity)->remove = true;
    for (const TensorRead& read : tensor.reads) node(read.node)->inputs[read.input] = tensor.name;
  }

 private:
  std::string root(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() || found->second->tied_to.empty() ? name
                                                                     : found->second->tied_to;
  }
  OnnxNodeEdit* node(int index) {
    OnnxNodeEdit& edit = edits_.nodes.emplace_back();
    edit.index = index;
    return &edit;
  }

  OnnxEdits& edits_;
  std::map<std::string, const TensorInfo*> tensors_;
  std::map<std::string, ConstBufferPtr> bytes_;
};

void edit_tensors(const Model& model, std::span<const ConstBufferPtr> state, OnnxEdits* edits) {
  TensorEdits tensors(model, state, edits);
  for (const TensorInfo& tensor : model.tensors) tensors.add(tensor);
}

}  // namespace

Result<std::vector<std::byte>> export_model(std::span<const std::byte> original, const Model& model,
                                            std::span<const ConstBufferPtr> state) {
  FT_CHECK(state.size() == model.values.size());
  FT_ASSIGN_OR_RETURN(OnnxGraph graph, parse_onnx(original));
  OnnxEdits edits;
  edits.remove_outputs = training_outputs(graph);
  edit_forms(graph, &edits);
  edit_tensors(model, state, &edits);
  return edit_onnx(original, edits);
}

}  // namespace ft
