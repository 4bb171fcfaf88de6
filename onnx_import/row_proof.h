#pragma once

// Lowers a graph for a number of rows and proves what micro-batches and other batches rely on: that
// each row is computed by itself, whatever stands beside it.
//
// The graph is lowered twice: for the rows asked for, and for a probe, a prime number of rows that
// no dimension of the file is a multiple of, so that nothing fits by chance. Structure and values
// of both are the same; so what holds for both holds for any number of rows. A file with a batch
// that cannot be changed is proven at its own batch only.

#include "onnx_import/lower.h"

namespace ft {

// As lower_graph(). Where rows meet, Model::rows_meet says where and a note tells it.
// Errors: kInvalid, also when rows meet and the options split or change the batch.
Result<Model> lower_proven(const OnnxGraph& graph, const ImportOptions& options,
                           std::vector<ImportProblem>* problems);

}  // namespace ft
