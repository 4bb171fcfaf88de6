#pragma once

// Evaluates a node whose inputs are all known: the shape arithmetic that PyTorch leaves in training
// exports. A small interpreter for small tensors; the table at the end of fold.cpp lists its ops.
// The semantics are those of the operator pages at https://onnx.ai/onnx/operators/.

#include <optional>
#include <span>

#include "onnx_import/constant.h"
#include "onnx_import/onnx_file.h"
#include "runtime/base/status.h"

namespace ft {

// Larger results are refused: shapes and masks of models for these boards stay far below.
constexpr int64_t kFoldElementsMax = int64_t{1} << 20;

// What a fold function gets: the node, and its inputs with null where one is left out.
struct FoldRequest {
  const OnnxNode* node = nullptr;
  std::span<const Constant* const> inputs;

  const Constant* input(size_t index) const {
    return index < inputs.size() ? inputs[index] : nullptr;
  }
  // Errors: kInvalid when the input is left out or is not of integers.
  Result<std::span<const int64_t>> ints(size_t index) const;
  int64_t attribute(const char* name, int64_t fallback) const;
};

// The value of output 0, or nullopt when the op is not one that is folded.
// Errors: kInvalid, not naming the node.
Result<std::optional<Constant>> fold_node(const FoldRequest& request);

// True when fold_node() knows the op.
bool is_foldable(const std::string& op);

// Shape, from opset 15 with attributes start and end.
Constant fold_shape(const OnnxNode& node, const Shape& shape);

// Errors: kInvalid when the dimensions are negative or too many elements.
Result<Shape> checked_fold_shape(std::span<const int64_t> dims);

// element i of the result = source[offset + sum(index * strides)].
Constant copy_strided(const Constant& source, const Shape& shape, int64_t offset,
                      std::span<const int64_t> strides);

// fold_math.cpp: element by element, and reductions.
Result<Constant> fold_binary(const FoldRequest& request);
Result<Constant> fold_compare(const FoldRequest& request);
Result<Constant> fold_unary(const FoldRequest& request);
Result<Constant> fold_cast(const FoldRequest& request);
Result<Constant> fold_where(const FoldRequest& request);
Result<Constant> fold_reduce(const FoldRequest& request);

// fold_index.cpp: elements moved, not changed.
Result<Constant> fold_gather(const FoldRequest& request);
Result<Constant> fold_slice(const FoldRequest& request);
Result<Constant> fold_concat(const FoldRequest& request);
Result<Constant> fold_unsqueeze(const FoldRequest& request);
Result<Constant> fold_squeeze(const FoldRequest& request);
Result<Constant> fold_reshape(const FoldRequest& request);
Result<Constant> fold_expand(const FoldRequest& request);
Result<Constant> fold_transpose(const FoldRequest& request);
Result<Constant> fold_range(const FoldRequest& request);
Result<Constant> fold_constant_of_shape(const FoldRequest& request);

}  // namespace ft
