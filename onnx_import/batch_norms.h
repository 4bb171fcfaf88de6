#pragma once

// What batch norms in training form normalise over: their statistics are those of the rows that are
// computed together, a micro-batch. Said where PyTorch would take others or where they are few;
// refused where they are one value, or where the file means each sample alone.

#include "onnx_import/import.h"
#include "onnx_import/onnx_file.h"

namespace ft {

// Adds to `problems` and to the model's notes. REQUIRES: `model` was lowered from `graph` with
// `options`.
void check_batch_norms(const OnnxGraph& graph, const ImportOptions& options, Model* model,
                       std::vector<ImportProblem>* problems);

}  // namespace ft
