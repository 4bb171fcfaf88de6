#pragma once

// Runs a model node by node, with the weights of its file: what the executor does, without plans.

#include <vector>

#include "onnx_import/model.h"

namespace ft {

// The model's output for `input`. Updates of statistics are computed and dropped.
std::vector<float> run_model(const Model& model, const std::vector<float>& input, Mode mode,
                             const StepId& step = {});

// `rows` of samples from first on.
std::vector<float> rows_of(const std::vector<float>& batch, int64_t rows_in_batch, int64_t first,
                           int64_t rows);

}  // namespace ft
