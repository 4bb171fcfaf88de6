#pragma once

// PyTorch writes an instance norm with running statistics, in a file for one sample, as
//   Reshape to [1, C, ...] -> BatchNormalization in training -> Reshape to [1, C, ...]
// Both Reshapes change nothing, and the batch norm sees one sample: with more rows it would be
// another function. It becomes InstanceNormalization; running statistics then do not move.
//
// Source: instance_norm in torch/onnx/symbolic_opset9.py of PyTorch 1.13.

#include <set>

#include "onnx_import/onnx_file.h"

namespace ft {

// OnnxNode::index of such batch norms.
std::set<int> find_instance_norms(const OnnxGraph& graph);

// REQUIRES: before normalise_forms(), which gives batch norms their outputs.
void rewrite_instance_norms(OnnxGraph* graph);

}  // namespace ft
