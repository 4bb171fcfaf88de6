#include "onnx_import/batch_norms.h"

#include <algorithm>
#include <string_view>

namespace ft {
namespace {

// Below 8 images to a batch the error of a network with batch norm grows steeply (Wu and He, "Group
// Normalization", 2018, figure 1).
constexpr int64_t kFewRows = 8;

bool is_batch_norm(const Node& node) {
  return std::string_view(node.op->name) == "BatchNormalization";
}

bool is_in_training(const Model& model, const Node& node) {
  return is_batch_norm(node) && node.outputs.size() > 1 && node.outputs[1] != kNoValue &&
         model.value(node.outputs[1]).kind == ValueKind::kUpdate;
}

// The Reshape that makes a value, perhaps behind a Transpose into CNHW order; null if none does.
const Node* reshape_before(const Model& model, ValueId id) {
  for (int steps = 0; steps < 2; ++steps) {
    const int32_t producer = model.value(id).producer;
    if (producer < 0) return nullptr;
    const Node& node = model.nodes[static_cast<size_t>(producer)];
    const std::string_view op = node.op->name;
    if (op == "Reshape") return &node;
    if (op != "Transpose") return nullptr;
    id = node.inputs[0];
  }
  return nullptr;
}

// Likewise the one that alone reads it.
const Node* reshape_behind(const Model& model, ValueId id) {
  for (int steps = 0; steps < 2; ++steps) {
    const std::vector<int32_t>& readers = model.value(id).consumers;
    if (readers.size() != 1) return nullptr;
    const Node& node = model.nodes[static_cast<size_t>(readers[0])];
    const std::string_view op = node.op->name;
    if (op == "Reshape") return &node;
    if (op != "Transpose") return nullptr;
    id = node.outputs[0];
  }
  return nullptr;
}

// Exporters write instance norm (and group norm) as [1, N * C, ...], batch norm, and back. In a
// file for one sample that cannot be told from a batch norm of [N, C, ...].
bool is_norm_of_one_sample(const Model& model, const Node& node) {
  const Node* before = reshape_before(model, node.inputs[0]);
  const Node* behind = reshape_behind(model, node.outputs[0]);
  if (before == nullptr || behind == nullptr) return false;
  const Shape& source = model.value(before->inputs[0]).type.shape;
  return model.value(before->outputs[0]).type.shape.dim(0) == model.batch &&
         model.value(behind->outputs[0]).type.shape == source;
}

std::string shape_of_map(const Shape& shape) {
  std::string text;
  for (int axis = 2; axis < shape.rank(); ++axis) {
    text += (text.empty() ? "" : "x") + std::to_string(shape.dim(axis));
  }
  return text.empty() ? "one value" : text;
}

std::string problem_of(const OnnxGraph& graph, const ImportOptions& options, const Model& model,
                       const Node& node, int64_t values) {
  const auto rows = static_cast<long long>(options.batch);
  if (values == 1) {
    return format(
        "in training it would normalise each channel over a single value (1 row of %s), and its "
        "output would be the same for every sample: use a larger --batch-size%s",
        shape_of_map(model.value(node.inputs[0]).type.shape).c_str(),
        options.micro_batches > 1 ? " or fewer --micro-batches" : "");
  }
  const OnnxDim& first = graph.inputs[0].dims[0];
  if (first.is_symbolic || first.value != 1 || options.batch == 1 ||
      !is_norm_of_one_sample(model, node)) {
    return "";
  }
  return format(
      "between two Reshapes it normalises the one sample that the file was exported with (instance "
      "norm is written so); with %lld rows together it would normalise over all of them: use "
      "--schedule sync --micro-batches %lld, which is one row at a time, or, if batch norm is "
      "meant, export with dynamic_axes",
      rows, rows * static_cast<long long>(options.micro_batches));
}

std::string note_of(const ImportOptions& options, int count, int64_t values_min) {
  const auto rows = static_cast<long long>(options.batch);
  std::string text = format("%d batch norm%s take%s statistics over ", count, count == 1 ? "" : "s",
                            count == 1 ? "s its" : " their");
  if (options.micro_batches > 1) {
    text += format(
        "each micro-batch of %lld row%s (at least %lld values a channel), and running statistics "
        "move once a micro-batch; PyTorch takes the whole batch of %lld rows: --micro-batches 1 "
        "does so",
        rows, rows == 1 ? "" : "s", static_cast<long long>(values_min),
        rows * static_cast<long long>(options.micro_batches));
    if (options.batch < kFewRows)
      text +=
          format(" (fewer than %lld rows make statistics noisy)", static_cast<long long>(kFewRows));
    return text;
  }
  return text + format(
                    "%lld row%s (at least %lld values a channel): fewer than %lld make them "
                    "noisy; use a larger --batch-size",
                    rows, rows == 1 ? "" : "s", static_cast<long long>(values_min),
                    static_cast<long long>(kFewRows));
}

}  // namespace

void check_batch_norms(const OnnxGraph& graph, const ImportOptions& options, Model* model,
                       std::vector<ImportProblem>* problems) {
  if (!options.trains) return;
  int count = 0;
  int64_t values_min = INT64_MAX;
  for (const Node& node : model->nodes) {
    if (!is_in_training(*model, node)) continue;
    const int64_t elements = model->value(node.inputs[0]).type.shape.element_count();
    const int64_t values = elements / model->value(node.inputs[1]).type.shape.element_count();
    ++count;
    values_min = std::min(values_min, values);
    std::string problem = problem_of(graph, options, *model, node, values);
    if (!problem.empty()) problems->push_back({node.name, node.op->name, std::move(problem)});
  }
  if (count > 0 && (options.micro_batches > 1 || options.batch < kFewRows)) {
    model->notes.push_back(note_of(options, count, values_min));
  }
}

}  // namespace ft
