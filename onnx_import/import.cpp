#include "onnx_import/import.h"

#include <algorithm>

#include "onnx_import/batch_norms.h"
#include "onnx_import/forms.h"
#include "onnx_import/instance_norm.h"
#include "onnx_import/layers.h"
#include "onnx_import/onnx_file.h"
#include "onnx_import/order.h"
#include "onnx_import/row_proof.h"
#include "onnx_import/tensors.h"

namespace ft {
namespace {

Status join_problems(const std::vector<ImportProblem>& problems, int opset) {
  std::string lines;
  for (const ImportProblem& problem : problems) {
    if (!lines.empty()) lines += '\n';
    lines += format("node '%s' (%s, opset %d): %s", problem.node.c_str(), problem.op.c_str(), opset,
                    problem.message.c_str());
  }
  return Status(StatusCode::kInvalid, std::move(lines));
}

}  // namespace

Result<Model> import_model(std::span<const std::byte> file, const ImportOptions& options,
                           std::vector<ImportProblem>* problems) {
  std::vector<ImportProblem> own;
  std::vector<ImportProblem>& found = problems == nullptr ? own : *problems;
  found.clear();
  FT_ASSIGN_OR_RETURN(OnnxGraph graph, parse_onnx(file));
  const IdentityCopies identities = take_identities(&graph);
  rewrite_instance_norms(&graph);
  normalise_forms(&graph);
  FT_RETURN_IF_ERROR(sort_nodes(&graph));
  FT_ASSIGN_OR_RETURN(std::vector<TensorInfo> tensors,
                      decide_tensors(identities, options.roles, &graph));
  Result<Model> model = lower_proven(graph, options, &found);
  if (model.ok()) check_batch_norms(graph, options, &*model, &found);
  if (!found.empty()) return join_problems(found, graph.opset);
  const bool has_parameters =
      std::any_of(tensors.begin(), tensors.end(),
                  [](const TensorInfo& tensor) { return tensor.role == TensorRole::kTrained; });
  if (!model.ok() && !has_parameters) return invalid_error("%s", nothing_trains(tensors).c_str());
  if (!model.ok()) return model;
  make_layers(&*model);
  if (options.trains) {
    const std::vector<std::string> notes = tensor_notes(tensors, graph);
    model->notes.insert(model->notes.begin(), notes.begin(), notes.end());
  }
  model->tensors = std::move(tensors);
  return model;
}

}  // namespace ft
