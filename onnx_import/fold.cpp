#include "onnx_import/fold.h"

#include <algorithm>
#include <cstring>

namespace ft {
namespace {

Result<Constant> fold_identity(const FoldRequest& request) { return *request.input(0); }

struct FoldEntry {
  const char* op;
  size_t inputs_min;  // the first ones, which must be present
  Result<Constant> (*fold)(const FoldRequest& request);
};

constexpr FoldEntry kFolds[] = {
    {"Abs", 1, fold_unary},
    {"Add", 2, fold_binary},
    {"And", 2, fold_compare},
    {"Cast", 1, fold_cast},
    {"Ceil", 1, fold_unary},
    {"Concat", 1, fold_concat},
    {"ConstantOfShape", 1, fold_constant_of_shape},
    {"Div", 2, fold_binary},
    {"Equal", 2, fold_compare},
    {"Expand", 2, fold_expand},
    {"Floor", 1, fold_unary},
    {"Gather", 2, fold_gather},
    {"Greater", 2, fold_compare},
    {"GreaterOrEqual", 2, fold_compare},
    {"Identity", 1, fold_identity},
    {"Less", 2, fold_compare},
    {"LessOrEqual", 2, fold_compare},
    {"Max", 2, fold_binary},
    {"Min", 2, fold_binary},
    {"Mod", 2, fold_binary},
    {"Mul", 2, fold_binary},
    {"Neg", 1, fold_unary},
    {"Not", 1, fold_unary},
    {"Or", 2, fold_compare},
    {"Pow", 2, fold_binary},
    {"Range", 3, fold_range},
    {"ReduceMax", 1, fold_reduce},
    {"ReduceMin", 1, fold_reduce},
    {"ReduceProd", 1, fold_reduce},
    {"ReduceSum", 1, fold_reduce},
    {"Reshape", 2, fold_reshape},
    {"Slice", 3, fold_slice},
    {"Sqrt", 1, fold_unary},
    {"Squeeze", 1, fold_squeeze},
    {"Sub", 2, fold_binary},
    {"Transpose", 1, fold_transpose},
    {"Unsqueeze", 2, fold_unsqueeze},
    {"Where", 3, fold_where},
};

}  // namespace

Result<std::span<const int64_t>> FoldRequest::ints(size_t index) const {
  const Constant* constant = input(index);
  if (constant == nullptr || constant->is_float()) {
    return invalid_error("input %zu must be a tensor of integers", index);
  }
  return constant->ints();
}

int64_t FoldRequest::attribute(const char* name, int64_t fallback) const {
  const auto found = node->attributes.values().find(name);
  if (found == node->attributes.values().end()) return fallback;
  const int64_t* value = std::get_if<int64_t>(&found->second);
  return value == nullptr ? fallback : *value;
}

Result<std::optional<Constant>> fold_node(const FoldRequest& request) {
  for (const FoldEntry& entry : kFolds) {
    if (request.node->op != entry.op) continue;
    for (size_t i = 0; i < entry.inputs_min; ++i) {
      if (request.input(i) == nullptr) return invalid_error("input %zu is missing", i);
    }
    for (const Constant* input : request.inputs) {
      if (input != nullptr && input->element_count() > kFoldElementsMax) {
        return std::optional<Constant>();
      }
    }
    FT_ASSIGN_OR_RETURN(Constant result, entry.fold(request));
    return std::optional<Constant>(std::move(result));
  }
  return std::optional<Constant>();
}

bool is_foldable(const std::string& op) {
  return std::any_of(std::begin(kFolds), std::end(kFolds),
                     [&](const FoldEntry& entry) { return op == entry.op; });
}

Constant fold_shape(const OnnxNode& node, const Shape& shape) {
  const FoldRequest request{&node, {}};
  const int64_t rank = shape.rank();
  const auto clamp = [&](int64_t axis) {
    return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  const int64_t start = clamp(request.attribute("start", 0));
  const int64_t end = std::max(start, clamp(request.attribute("end", rank)));
  return make_constant(
      shape.dims().subspan(static_cast<size_t>(start), static_cast<size_t>(end - start)));
}

Result<Shape> checked_fold_shape(std::span<const int64_t> dims) {
  if (dims.size() > kRankMax) {
    return invalid_error("%zu dimensions; at most %d are supported", dims.size(), kRankMax);
  }
  const Shape shape(dims);
  if (!is_sane(shape) || shape.element_count() > kFoldElementsMax) {
    return invalid_error("a constant of shape %s is not folded", to_string(shape).c_str());
  }
  return shape;
}

Constant copy_strided(const Constant& source, const Shape& shape, int64_t offset,
                      std::span<const int64_t> strides) {
  const size_t bytes = static_cast<size_t>(dtype_bytes(source.type.dtype));
  const int64_t count = shape.element_count();
  BufferPtr buffer = make_buffer(static_cast<uint64_t>(count) * bytes);
  std::vector<int64_t> index(strides.size(), 0);
  int64_t from = offset;
  for (int64_t to = 0; to < count; ++to) {
    std::memcpy(buffer->data() + static_cast<size_t>(to) * bytes,
                source.data->data() + static_cast<size_t>(from) * bytes, bytes);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const size_t i = static_cast<size_t>(axis);
      from += strides[i];
      if (++index[i] < shape.dim(axis)) break;
      from -= strides[i] * shape.dim(axis);
      index[i] = 0;
    }
  }
  return {{source.type.dtype, shape}, std::move(buffer)};
}

}  // namespace ft
