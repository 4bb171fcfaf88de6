#include "onnx_import/row_proof.h"

#include <algorithm>
#include <cstring>

namespace ft {
namespace {

// The primes that are tried; the last one is taken if every one divides some dimension. Small ones:
// masks that are folded have as many rows.
constexpr int64_t kProbes[] = {3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61};

int64_t choose_probe(const OnnxGraph& graph, int64_t batch) {
  std::vector<int64_t> dims = {batch};
  const auto add = [&](const Constant& constant) {
    dims.insert(dims.end(), constant.type.shape.dims().begin(), constant.type.shape.dims().end());
    if (constant.is_float() || constant.element_count() > kRankMax) return;
    dims.insert(dims.end(), constant.ints().begin(), constant.ints().end());
  };
  for (const OnnxInput& input : graph.inputs) {
    for (const OnnxDim& dim : input.dims) dims.push_back(dim.value);
  }
  for (const auto& [name, constant] : graph.initializers) add(constant);
  for (const auto& [name, constant] : graph.constants) add(constant);
  for (const int64_t probe : kProbes) {
    const auto divides = [&](int64_t dim) { return dim != 0 && dim % probe == 0; };
    if (std::none_of(dims.begin(), dims.end(), divides)) return probe;
  }
  return kProbes[std::size(kProbes) - 1];
}

// Numbers that are not the same for both batches, in one row of each: something is computed with
// the number of rows or with a row's position.
std::optional<RowMeeting> compare_constants(const Model& model, const Model& probe) {
  FT_CHECK(model.nodes.size() == probe.nodes.size());
  for (size_t i = 0; i < model.nodes.size(); ++i) {
    for (size_t k = 0; k < model.nodes[i].inputs.size(); ++k) {
      const ValueId id = model.nodes[i].inputs[k];
      const ValueId probe_id = probe.nodes[i].inputs[k];
      if (id == kNoValue || probe_id == kNoValue) continue;
      const Value& here = model.value(id);
      const Value& there = probe.value(probe_id);
      if (here.kind != ValueKind::kConstant || here.type.dtype != DType::kFloat32) continue;
      // Rows of one constant are equal (RowTracker saw to it), so that any one will do.
      const size_t bytes = std::min(here.data->size(), there.data->size());
      if (std::memcmp(here.data->data(), there.data->data(), bytes) == 0) continue;
      return RowMeeting{model.nodes[i].name, model.nodes[i].op->name,
                        "computes with the number of rows ('" + here.name + "')"};
    }
  }
  return std::nullopt;
}

// The proof, in order of strength.
std::optional<RowMeeting> find_meeting(const OnnxGraph& graph, const ImportOptions& options,
                                       const Model& model, const RowFacts& facts,
                                       const Result<Model>& probe, const RowFacts& probe_facts,
                                       const std::vector<ImportProblem>& probe_problems) {
  if (options.batch > 1 && facts.meeting) return facts.meeting;
  if (probe.ok()) {
    return probe_facts.meeting ? probe_facts.meeting : compare_constants(model, *probe);
  }
  const OnnxDim& first = graph.inputs[0].dims[0];
  const bool is_own_batch = !first.is_symbolic && first.value == options.batch;
  if (is_own_batch || (first.is_symbolic && options.batch > 1)) return std::nullopt;
  if (probe_problems.empty()) {
    return RowMeeting{graph.outputs[0], "output", "fits this batch alone"};
  }
  const ImportProblem& problem = probe_problems.front();
  return RowMeeting{problem.node, problem.op, "does not fit every batch"};
}

Status refuse_or_note(const OnnxGraph& graph, const ImportOptions& options, Model* model) {
  const OnnxDim& first = graph.inputs[0].dims[0];
  const bool is_fixed = !first.is_symbolic;
  const std::string cause =
      model->rows_meet + ": every sample's result depends on the others of its batch";
  if (options.micro_batches > 1) {
    return invalid_error(
        "%s, and micro-batches would change it: use --micro-batches 1%s", cause.c_str(),
        is_fixed ? format(" --batch-size %lld", static_cast<long long>(first.value)).c_str() : "");
  }
  if (is_fixed && first.value != options.batch) {
    return invalid_error(
        "%s, and the file was exported with a batch of %lld: use --batch-size %lld, or export "
        "again with a batch of %lld",
        cause.c_str(), static_cast<long long>(first.value), static_cast<long long>(first.value),
        static_cast<long long>(options.batch));
  }
  model->notes.push_back(cause + "; only whole batches of " + std::to_string(options.batch) +
                         " are computed");
  return {};
}

}  // namespace

Result<Model> lower_proven(const OnnxGraph& graph, const ImportOptions& options,
                           std::vector<ImportProblem>* problems) {
  ImportOptions probe_options = options;
  probe_options.batch = choose_probe(graph, options.batch);
  RowFacts probe_facts;
  std::vector<ImportProblem> probe_problems;
  const Result<Model> probe =
      lower_graph(graph, probe_options, nullptr, &probe_facts, &probe_problems);
  RowFacts facts;
  FT_ASSIGN_OR_RETURN(Model model, lower_graph(graph, options, probe.ok() ? &probe_facts : nullptr,
                                               &facts, problems));
  const std::optional<RowMeeting> meeting =
      find_meeting(graph, options, model, facts, probe, probe_facts, probe_problems);
  if (meeting) {
    model.rows_meet = to_string(*meeting);
    FT_RETURN_IF_ERROR(refuse_or_note(graph, options, &model));
  }
  return model;
}

}  // namespace ft
