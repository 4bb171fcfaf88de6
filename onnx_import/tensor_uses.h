#pragma once

// Where the tensors of a file stand: what the nodes do with them. One walk forward finds which
// values are computed from tensors alone, and which from the sample before any weight touched it;
// one walk backward gives each tensor the places that it reaches through such values.

#include <array>
#include <map>
#include <string>

#include "onnx_import/onnx_file.h"

namespace ft {

enum class UseKind : uint8_t {
  kWeight,        // a place where weights stand: a Conv's filter, a Gemm's matrix, a bias
  kOperand,       // joined elementwise with what a weight has touched
  kInputOperand,  // joined elementwise with the sample, before any weight
  kData,          // other data: a table, a token that is concatenated
  kNumber,        // a bound, an exponent, what keeps a root from zero
  kStatistic,     // a batch norm's running mean or variance
};
constexpr size_t kUseKinds = 6;

struct TensorUses {
  std::array<const OnnxNode*, kUseKinds> nodes = {};  // the first one of each kind, or null

  bool is_factor = true;  // whoever reads it multiplies by it, elementwise

  const OnnxNode* at(UseKind kind) const { return nodes[static_cast<size_t>(kind)]; }
};

// Of every initializer and Constant that a node reads. REQUIRES: the nodes are sorted.
std::map<std::string, TensorUses> find_uses(const OnnxGraph& graph);

// "fc.weight", "norm.bias", "pos_embed": PyTorch's own modules call their parameters so.
bool is_parameter_name(const std::string& name);

}  // namespace ft
