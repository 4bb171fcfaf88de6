// Folds that move elements: see fold.h.

#include <algorithm>
#include <cstring>
#include <limits>

#include "onnx_import/fold.h"

namespace ft {
namespace {

Result<int> normal_axis(int64_t axis, int rank) {
  const int64_t normal = axis < 0 ? axis + rank : axis;
  if (normal < 0 || normal >= rank) {
    return invalid_error("axis %lld does not exist in rank %d", static_cast<long long>(axis), rank);
  }
  return static_cast<int>(normal);
}

std::vector<int64_t> row_major_strides(const Shape& shape) {
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()));
  int64_t stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<size_t>(axis)] = stride;
    stride *= shape.dim(axis);
  }
  return strides;
}

struct SliceRange {
  int64_t first = 0;
  int64_t step = 1;
  int64_t count = 0;
};

// numpy's rule: bounds are clamped, not refused.
SliceRange slice_range(int64_t start, int64_t end, int64_t step, int64_t dim) {
  const auto clamp = [&](int64_t index, int64_t low, int64_t high) {
    return std::clamp(index < 0 ? std::max(index, -dim - 1) + dim : index, low, high);
  };
  const int64_t last = step > 0 ? dim : dim - 1;
  const int64_t lowest = step > 0 ? 0 : -1;
  const int64_t first = clamp(start, step > 0 ? 0 : std::min<int64_t>(0, last), last);
  const int64_t stop = clamp(end, lowest, last);
  const int64_t span = step > 0 ? stop - first : first - stop;
  const uint64_t stride =
      step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  const int64_t count =
      span <= 0 ? 0 : static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / stride + 1);
  return {first, step, count};
}

}  // namespace

Result<Constant> fold_gather(const FoldRequest& request) {
  const Constant& data = *request.input(0);
  FT_ASSIGN_OR_RETURN(const auto indices, request.ints(1));
  FT_ASSIGN_OR_RETURN(const int axis,
                      normal_axis(request.attribute("axis", 0), data.type.shape.rank()));
  const Shape& from = data.type.shape;
  for (const int64_t index : indices) {
    if (index < -from.dim(axis) || index >= from.dim(axis)) {
      return invalid_error("index %lld is outside %lld elements", static_cast<long long>(index),
                           static_cast<long long>(from.dim(axis)));
    }
  }
  std::vector<int64_t> dims;
  for (int i = 0; i < from.rank(); ++i) {
    if (i != axis) {
      dims.push_back(from.dim(i));
      continue;
    }
    const auto& picked = request.input(1)->type.shape;
    dims.insert(dims.end(), picked.dims().begin(), picked.dims().end());
  }
  FT_ASSIGN_OR_RETURN(const Shape shape, checked_fold_shape(dims));
  const int64_t outer = from.product(0, axis);
  const size_t inner =
      static_cast<size_t>(from.product(axis + 1, from.rank()) * dtype_bytes(data.type.dtype));
  BufferPtr buffer = make_buffer(shape.element_count() * dtype_bytes(data.type.dtype));
  size_t to = 0;
  for (int64_t block = 0; block < outer; ++block) {
    for (const int64_t index : indices) {
      const int64_t row = index < 0 ? index + from.dim(axis) : index;
      if (inner == 0) continue;
      const size_t source = static_cast<size_t>(block * from.dim(axis) + row) * inner;
      std::memcpy(buffer->data() + to, data.data->data() + source, inner);
      to += inner;
    }
  }
  return Constant{{data.type.dtype, shape}, std::move(buffer)};
}

Result<Constant> fold_slice(const FoldRequest& request) {
  const Constant& data = *request.input(0);
  const Shape& from = data.type.shape;
  FT_ASSIGN_OR_RETURN(const auto starts, request.ints(1));
  FT_ASSIGN_OR_RETURN(const auto ends, request.ints(2));
  std::vector<int64_t> axes(starts.size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  if (request.input(3) != nullptr) {
    FT_ASSIGN_OR_RETURN(const auto given, request.ints(3));
    axes.assign(given.begin(), given.end());
  }
  std::vector<int64_t> steps(starts.size(), 1);
  if (request.input(4) != nullptr) {
    FT_ASSIGN_OR_RETURN(const auto given, request.ints(4));
    steps.assign(given.begin(), given.end());
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return invalid_error("starts, ends, axes and steps differ in length");
  }
  std::vector<int64_t> strides = row_major_strides(from);
  Shape shape = from;
  int64_t offset = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    FT_ASSIGN_OR_RETURN(const int axis, normal_axis(axes[i], from.rank()));
    if (steps[i] == 0) return invalid_error("a step of 0");
    const SliceRange range = slice_range(starts[i], ends[i], steps[i], from.dim(axis));
    shape.set_dim(axis, range.count);
    // With one element or none the step is never taken, and may be as large as int64.
    int64_t& stride = strides[static_cast<size_t>(axis)];
    offset += range.count > 0 ? range.first * stride : 0;
    stride = range.count > 1 ? stride * range.step : 0;
  }
  return copy_strided(data, shape, offset, strides);
}

Result<Constant> fold_concat(const FoldRequest& request) {
  const Constant& first = *request.input(0);
  FT_ASSIGN_OR_RETURN(const int axis,
                      normal_axis(request.attribute("axis", 0), first.type.shape.rank()));
  Shape shape = first.type.shape;
  int64_t total = 0;
  for (const Constant* input : request.inputs) {
    if (input == nullptr || input->type.dtype != first.type.dtype ||
        input->type.shape.rank() != shape.rank()) {
      return invalid_error("inputs of different ranks or element types");
    }
    Shape same = input->type.shape;
    total += same.dim(axis);
    same.set_dim(axis, shape.dim(axis));
    if (!(same == shape)) return invalid_error("inputs of different shapes");
  }
  const int64_t outer = shape.product(0, axis);
  shape.set_dim(axis, total);
  FT_ASSIGN_OR_RETURN(shape, checked_fold_shape(shape.dims()));
  BufferPtr buffer = make_buffer(shape.element_count() * dtype_bytes(first.type.dtype));
  size_t to = 0;
  for (int64_t block = 0; block < outer; ++block) {
    for (const Constant* input : request.inputs) {
      const size_t bytes = input->data->size() / static_cast<size_t>(outer);
      if (bytes == 0) continue;
      std::memcpy(buffer->data() + to, input->data->data() + static_cast<size_t>(block) * bytes,
                  bytes);
      to += bytes;
    }
  }
  return Constant{{first.type.dtype, shape}, std::move(buffer)};
}

Result<Constant> fold_unsqueeze(const FoldRequest& request) {
  const Constant& data = *request.input(0);
  FT_ASSIGN_OR_RETURN(const auto axes, request.ints(1));
  const int64_t rank = data.type.shape.rank() + static_cast<int64_t>(axes.size());
  if (rank > kRankMax) return invalid_error("more than %d dimensions", kRankMax);
  std::vector<int64_t> dims(static_cast<size_t>(rank), -1);
  for (const int64_t given : axes) {
    FT_ASSIGN_OR_RETURN(const int axis, normal_axis(given, static_cast<int>(rank)));
    if (dims[static_cast<size_t>(axis)] == 1) return invalid_error("an axis is named twice");
    dims[static_cast<size_t>(axis)] = 1;
  }
  int next = 0;
  for (int64_t& dim : dims) {
    if (dim == -1) dim = data.type.shape.dim(next++);
  }
  return with_shape(data, Shape(dims));
}

Result<Constant> fold_squeeze(const FoldRequest& request) {
  const Constant& data = *request.input(0);
  const Shape& from = data.type.shape;
  std::vector<bool> gone(static_cast<size_t>(from.rank()), request.input(1) == nullptr);
  if (request.input(1) != nullptr) {
    FT_ASSIGN_OR_RETURN(const auto axes, request.ints(1));
    for (const int64_t given : axes) {
      FT_ASSIGN_OR_RETURN(const int axis, normal_axis(given, from.rank()));
      if (from.dim(axis) != 1) return invalid_error("axis %d is not 1", axis);
      gone[static_cast<size_t>(axis)] = true;
    }
  }
  std::vector<int64_t> dims;
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (from.dim(axis) != 1 || !gone[static_cast<size_t>(axis)]) dims.push_back(from.dim(axis));
  }
  return with_shape(data, Shape(dims));
}

Result<Constant> fold_reshape(const FoldRequest& request) {
  const Constant& data = *request.input(0);
  FT_ASSIGN_OR_RETURN(const auto target, request.ints(1));
  std::vector<int64_t> dims(target.begin(), target.end());
  int unknown = -1;
  int64_t known = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && request.attribute("allowzero", 0) == 0) {
      if (static_cast<int>(i) >= data.type.shape.rank()) return invalid_error("0 copies no axis");
      dims[i] = data.type.shape.dim(static_cast<int>(i));
    }
    if (dims[i] == -1 && unknown >= 0) return invalid_error("two dimensions are -1");
    if (dims[i] == -1) {
      unknown = static_cast<int>(i);
    } else if (dims[i] < 0 || dims[i] > kFoldElementsMax || known > kFoldElementsMax) {
      return invalid_error("dimension %lld", static_cast<long long>(dims[i]));
    } else {
      known *= dims[i];
    }
  }
  if (unknown >= 0 && known > 0) dims[static_cast<size_t>(unknown)] = data.element_count() / known;
  FT_ASSIGN_OR_RETURN(const Shape shape, checked_fold_shape(dims));
  if (shape.element_count() != data.element_count()) {
    return invalid_error("%s does not reshape to %s", to_string(data.type.shape).c_str(),
                         to_string(shape).c_str());
  }
  return with_shape(data, shape);
}

Result<Constant> fold_expand(const FoldRequest& request) {
  const Constant& data = *request.input(0);
  FT_ASSIGN_OR_RETURN(const auto target, request.ints(1));
  FT_ASSIGN_OR_RETURN(const Shape wanted, checked_fold_shape(target));
  Shape shape;
  if (!broadcast_shapes(data.type.shape, wanted, &shape)) {
    return invalid_error("%s does not expand to %s", to_string(data.type.shape).c_str(),
                         to_string(wanted).c_str());
  }
  FT_ASSIGN_OR_RETURN(shape, checked_fold_shape(shape.dims()));
  return copy_strided(data, shape, 0, broadcast_strides(data.type.shape, shape));
}

Result<Constant> fold_transpose(const FoldRequest& request) {
  const Constant& data = *request.input(0);
  const Shape& from = data.type.shape;
  std::vector<int64_t> perm(static_cast<size_t>(from.rank()));
  for (size_t i = 0; i < perm.size(); ++i) perm[i] = from.rank() - 1 - static_cast<int64_t>(i);
  FT_ASSIGN_OR_RETURN(perm, request.node->attributes.get_ints("perm", perm));
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted.size() != static_cast<size_t>(from.rank()) || sorted[i] != static_cast<int64_t>(i)) {
      return invalid_error("perm is not a permutation of %d axes", from.rank());
    }
  }
  const std::vector<int64_t> strides = row_major_strides(from);
  std::vector<int64_t> moved;
  std::vector<int64_t> dims;
  for (const int64_t axis : perm) {
    moved.push_back(strides[static_cast<size_t>(axis)]);
    dims.push_back(from.dim(static_cast<int>(axis)));
  }
  return copy_strided(data, Shape(dims), 0, moved);
}

Result<Constant> fold_range(const FoldRequest& request) {
  int64_t bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    FT_ASSIGN_OR_RETURN(const auto value, request.ints(i));
    if (value.size() != 1) return invalid_error("bounds must be scalars");
    bounds[i] = value[0];
    if (bounds[i] < -kElementsMax || bounds[i] > kElementsMax) {
      return invalid_error("bound %lld is too large", static_cast<long long>(bounds[i]));
    }
  }
  const auto [start, limit, delta] = bounds;
  if (delta == 0) return invalid_error("a step of 0");
  const int64_t span = delta > 0 ? limit - start : start - limit;
  const int64_t step = delta > 0 ? delta : -delta;
  const int64_t count = span <= 0 ? 0 : (span - 1) / step + 1;
  if (count > kFoldElementsMax)
    return invalid_error("a range of %lld elements is not folded", static_cast<long long>(count));
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<int64_t>(i) * delta;
  return make_constant(values);
}

Result<Constant> fold_constant_of_shape(const FoldRequest& request) {
  FT_ASSIGN_OR_RETURN(const auto dims, request.ints(0));
  FT_ASSIGN_OR_RETURN(const Shape shape, checked_fold_shape(dims));
  const float zero = 0.0F;
  Constant value = make_constant(Shape{1}, std::span(&zero, 1));
  if (const auto found = request.node->tensors.find("value");
      found != request.node->tensors.end()) {
    value = found->second;
  }
  if (value.element_count() != 1) return invalid_error("attribute 'value' must have one element");
  const std::vector<int64_t> strides(static_cast<size_t>(shape.rank()), 0);
  return copy_strided(value, shape, 0, strides);
}

}  // namespace ft
