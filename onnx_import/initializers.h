#pragma once

// What the initializers of a file are: parameters, running statistics or constants, and which of
// them are one tensor.
//
// PyTorch writes Identity(initializer) for two different reasons. An inference export merges
// initializers that are *equal* (all zero biases of a fresh network): each Identity's output is a
// parameter of its own. A training export merges those that share *storage*: they are truly tied,
// and their gradients add. A file says which it is only by batch norms or dropouts in training
// form; a file with neither is taken for an inference export.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "onnx_import/onnx_file.h"
#include "runtime/base/status.h"

namespace ft {

// True when a batch norm or a dropout is in training form.
bool is_training_export(const OnnxGraph& graph);

// An Identity of an initializer that became an initializer itself.
struct InitializerCopy {
  int node = 0;        // OnnxNode::index of the Identity
  std::string name;    // its output
  std::string source;  // the initializer in the file
};

// Takes the Identity nodes of initializers away: untied in inference exports (the copies are
// returned), tied under the source's name in training exports.
std::vector<InitializerCopy> split_initializers(OnnxGraph* graph);

enum class InitializerRole : uint8_t { kParameter, kStatistic, kConstant };

// For every initializer that a node reads. Parameters are float tensors of rank >= 1 used as
// data; integers, scalars and bounds (of Clip, Dropout, Pad) are constants; a batch norm's running
// mean and variance are statistics.
// Errors: kInvalid when one is both a statistic and something else.
Result<std::map<std::string, InitializerRole>> find_roles(const OnnxGraph& graph);

}  // namespace ft
