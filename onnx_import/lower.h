#pragma once

// One walk over the sorted graph: constants are folded, no-ops vanish, shapes are inferred by the
// ops themselves, the layout is chosen, and every other node becomes a node of the model. A node
// that cannot be trained is noted and the walk goes on, so that all of them are named at once;
// what depends on a refused node is only checked for being supported at all.

#include <vector>

#include "onnx_import/import.h"
#include "onnx_import/onnx_file.h"
#include "onnx_import/rows.h"

namespace ft {

// What the walk found out about the rows of a batch.
struct RowFacts {
  std::vector<RowPlace> places;  // by the walk's numbers of values, which no batch changes
  std::optional<RowMeeting> meeting;
};

// The elements that all folds of a model may make together.
constexpr int64_t kFoldTotalMax = int64_t{1} << 26;

// Nodes and values, without layers. Errors: kInvalid when a problem was noted (Status has no
// details then) or the model as a whole cannot be trained.
// `known`: the facts of the same graph bound to another batch, or null; `rows` is filled.
// REQUIRES: sort_nodes(), normalise_forms() and decide_tensors() ran.
Result<Model> lower_graph(const OnnxGraph& graph, const ImportOptions& options,
                          const RowFacts* known, RowFacts* rows,
                          std::vector<ImportProblem>* problems);

}  // namespace ft
