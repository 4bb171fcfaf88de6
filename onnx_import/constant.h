#pragma once

// Constant: a tensor whose bytes are known at import. ONNX's element types are narrowed to the two
// that kernels know: bool and int32 become int64 (0 and 1), double becomes float32.
// Immutable and cheap to copy: the bytes are shared.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/tensor.h"
#include "runtime/base/buffer.h"

namespace ft {

struct Constant {
  TensorType type;
  ConstBufferPtr data;  // type.bytes() bytes, row-major

  int64_t element_count() const { return type.shape.element_count(); }
  bool is_float() const { return type.dtype == DType::kFloat32; }
  // REQUIRES: the dtype fits.
  std::span<const int64_t> ints() const;
  std::span<const float> floats() const;
};

// REQUIRES: one value for each element of `shape`.
Constant make_constant(const Shape& shape, std::span<const int64_t> values);
Constant make_constant(const Shape& shape, std::span<const float> values);
// A vector.
Constant make_constant(std::span<const int64_t> values);

// The same bytes under another shape. REQUIRES: equal element counts.
Constant with_shape(const Constant& constant, const Shape& shape);

// Axes 0 and 1 exchanged, bytes moved. REQUIRES: rank >= 2.
Constant swap_first_axes(const Constant& constant);

// Row-major strides in elements; 0 where a dimension is broadcast from 1 to `target` (numpy's
// rule). REQUIRES: shape broadcasts to target.
std::vector<int64_t> broadcast_strides(const Shape& shape, const Shape& target);
// False when the two do not broadcast together.
bool broadcast_shapes(const Shape& a, const Shape& b, Shape* result);

}  // namespace ft
