#pragma once

// The rules that say what a tensor is. docs/tensors.md says them as a user reads them; each reason
// here is half a sentence that `ftrun inspect` prints.

#include <map>
#include <string>

#include "onnx_import/model.h"
#include "onnx_import/onnx_file.h"
#include "onnx_import/tensor_uses.h"

namespace ft {

struct DecidedRole {
  TensorRole role = TensorRole::kConstant;
  std::string reason;
  bool can_train = false;  // a person may say that it trains
};

// Of every initializer and every Constant that a node reads.
std::map<std::string, DecidedRole> decide_roles(const OnnxGraph& graph);

}  // namespace ft
