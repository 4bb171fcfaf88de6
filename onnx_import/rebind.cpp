#include "onnx_import/rebind.h"

namespace ft {
namespace {

// The shape that a Reshape's target makes of `shape`; {0} if it makes none.
Shape as_reshaped(const Shape& shape, const std::vector<int64_t>& target) {
  Shape result{std::span<const int64_t>(target)};
  int rest = -1;
  for (int axis = 0; axis < result.rank(); ++axis) {
    if (result.dim(axis) == 0 && axis < shape.rank()) result.set_dim(axis, shape.dim(axis));
    if (result.dim(axis) == -1) {
      rest = axis;
      result.set_dim(axis, 1);
    }
  }
  if (!is_sane(result) || result.element_count() == 0) return {0};
  if (rest >= 0) result.set_dim(rest, shape.element_count() / result.element_count());
  return result.element_count() == shape.element_count() ? result : Shape{0};
}

// One row is on any axis. Where a target keeps the axes before the batch and merges none, {6, 1, 8}
// to {6, 2, 4} say, the batch stays where it was and is merged with what follows (heads).
bool keeps_axis(const Shape& from, const Shape& to, int axis, int64_t stride) {
  if (to.rank() < from.rank() || axis >= to.rank()) return false;
  for (int i = 0; i < axis; ++i) {
    if (from.dim(i) != to.dim(i)) return false;
  }
  return stride == to.product(axis, to.rank());
}

}  // namespace

std::optional<Constant> rebind_target(const Constant& target, const Shape& data,
                                      const RowPlace& place, const BatchChange& batch) {
  if (batch.from == batch.to || !place.is_placed() || target.is_float() ||
      target.element_count() > kRankMax) {
    return std::nullopt;
  }
  Shape in_file = data;
  in_file.set_dim(place.axis, data.dim(place.axis) / batch.to * batch.from);
  std::vector<int64_t> dims(target.ints().begin(), target.ints().end());
  const Shape reshaped = as_reshaped(in_file, dims);
  const int64_t stride = row_stride(data, place);
  RowPlace found = place_by_stride(reshaped, batch.from, stride);
  if (batch.from == 1 && found.is_placed() && reshaped.dim(found.axis) != 1 &&
      keeps_axis(in_file, reshaped, place.axis, stride)) {
    found.axis = place.axis;
  }
  if (!found.is_placed() || dims[static_cast<size_t>(found.axis)] <= 0) return std::nullopt;
  dims[static_cast<size_t>(found.axis)] = reshaped.dim(found.axis) / batch.from * batch.to;
  return make_constant(target.type.shape, dims);
}

}  // namespace ft
