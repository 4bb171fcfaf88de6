#include "onnx_import/constant.h"

#include <algorithm>
#include <cstring>

namespace ft {
namespace {

template <typename T>
Constant copy_constant(const Shape& shape, DType dtype, std::span<const T> values) {
  FT_CHECK(shape.element_count() == static_cast<int64_t>(values.size()));
  BufferPtr buffer = make_buffer(values.size_bytes());
  if (!values.empty()) std::memcpy(buffer->data(), values.data(), values.size_bytes());
  return {{dtype, shape}, std::move(buffer)};
}

}  // namespace

std::span<const int64_t> Constant::ints() const {
  FT_CHECK(type.dtype == DType::kInt64);
  return {reinterpret_cast<const int64_t*>(data->data()), static_cast<size_t>(element_count())};
}

std::span<const float> Constant::floats() const {
  FT_CHECK(type.dtype == DType::kFloat32);
  return {data->floats(), static_cast<size_t>(element_count())};
}

Constant make_constant(const Shape& shape, std::span<const int64_t> values) {
  return copy_constant(shape, DType::kInt64, values);
}

Constant make_constant(const Shape& shape, std::span<const float> values) {
  return copy_constant(shape, DType::kFloat32, values);
}

Constant make_constant(std::span<const int64_t> values) {
  return make_constant(Shape{static_cast<int64_t>(values.size())}, values);
}

Constant with_shape(const Constant& constant, const Shape& shape) {
  FT_CHECK(shape.element_count() == constant.element_count());
  return {{constant.type.dtype, shape}, constant.data};
}

Constant swap_first_axes(const Constant& constant) {
  const Shape& shape = constant.type.shape;
  const int64_t rows = shape.dim(0);
  const int64_t columns = shape.dim(1);
  const size_t block =
      static_cast<size_t>(shape.product(2, shape.rank()) * dtype_bytes(constant.type.dtype));
  Shape swapped = shape;
  swapped.set_dim(0, columns);
  swapped.set_dim(1, rows);
  BufferPtr buffer = make_buffer(constant.data->size());
  for (int64_t row = 0; row < rows && block > 0; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      std::memcpy(buffer->data() + static_cast<size_t>(column * rows + row) * block,
                  constant.data->data() + static_cast<size_t>(row * columns + column) * block,
                  block);
    }
  }
  return {{constant.type.dtype, swapped}, std::move(buffer)};
}

std::vector<int64_t> broadcast_strides(const Shape& shape, const Shape& target) {
  std::vector<int64_t> strides(static_cast<size_t>(target.rank()), 0);
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    const int axis = target.rank() - shape.rank() + i;
    if (shape.dim(i) != 1) strides[static_cast<size_t>(axis)] = stride;
    stride *= shape.dim(i);
  }
  return strides;
}

bool broadcast_shapes(const Shape& a, const Shape& b, Shape* result) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const int in_a = i - (rank - a.rank());
    const int in_b = i - (rank - b.rank());
    const int64_t dim_a = in_a < 0 ? 1 : a.dim(in_a);
    const int64_t dim_b = in_b < 0 ? 1 : b.dim(in_b);
    if (dim_a != dim_b && dim_a != 1 && dim_b != 1) return false;
    dims[static_cast<size_t>(i)] = dim_a == 1 ? dim_b : dim_a;
  }
  *result = Shape(dims);
  return true;
}

}  // namespace ft
