#pragma once

// Trained weights -> an inference ONNX model with the original names.

#include <cstddef>
#include <span>
#include <vector>

#include "onnx_import/model.h"
#include "runtime/base/status.h"

namespace ft {

// The original file with its parameters and running statistics replaced by `state` (indexed by
// ValueId; entries of other kinds are null), in inference form: BatchNormalization without
// training_mode and extra outputs, Dropout removed or in inference form, no training-only outputs;
// the batch dimension symbolic where the original's was. Graph inputs, outputs and node names stay.
// REQUIRES: `model` was imported from `original`.
Result<std::vector<std::byte>> export_model(std::span<const std::byte> original, const Model& model,
                                            std::span<const ConstBufferPtr> state);

}  // namespace ft
