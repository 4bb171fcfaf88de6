#pragma once

// What a model starts from: its input, bound to a batch size, and its parameters, statistics and
// constants.

#include "onnx_import/builder.h"
#include "onnx_import/onnx_file.h"
#include "runtime/base/status.h"

namespace ft {

// Errors: kInvalid unless there is exactly one input, of floats, whose dimensions behind the batch
// are fixed.
Result<ValueId> bind_input(const OnnxGraph& graph, int64_t batch, ModelBuilder* builder);

// Parameters, trained or frozen, and statistics become values in the order of their first use. A
// frozen one is a value, too, and is not folded: freezing changes neither nodes nor layers.
void bind_initializers(const OnnxGraph& graph, ModelBuilder* builder);

}  // namespace ft
