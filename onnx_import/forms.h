#pragma once

// One form for each op that PyTorch writes in several:
//   BatchNormalization, training  opset 13: 5 outputs; 14+: training_mode=1, 3 outputs
//                                 -> opset 14, training_mode=1 and exactly 3 outputs, because the
//                                 running statistics move even if the file does not read them
//   BatchNormalization, frozen    -> 1 output
//   Dropout that drops nothing    -> Identity
//   Pad before a window           -> pads of the window (pads.h)

#include "onnx_import/onnx_file.h"

namespace ft {

bool is_training_batch_norm(const OnnxNode& node);
bool is_training_dropout(const OnnxGraph& graph, const OnnxNode& node);

// The value of an initializer or a Constant node; null for anything else.
const Constant* find_constant(const OnnxGraph& graph, const std::string& name);

void normalise_forms(OnnxGraph* graph);

}  // namespace ft
