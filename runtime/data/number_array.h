#pragma once

// NumberArray: what a data file holds, in the file's own type and bytes. Samples stay in this
// compact form in memory and become floats one row at a time.

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/tensor.h"
#include "runtime/base/buffer.h"

namespace ft {

enum class NumberType : uint8_t { kUint8, kInt32, kInt64, kFloat32, kFloat64 };

constexpr int64_t number_bytes(NumberType type) {
  switch (type) {
    case NumberType::kUint8:
      return 1;
    case NumberType::kInt32:
    case NumberType::kFloat32:
      return 4;
    case NumberType::kInt64:
    case NumberType::kFloat64:
      return 8;
  }
  return 0;
}

constexpr bool is_float(NumberType type) {
  return type == NumberType::kFloat32 || type == NumberType::kFloat64;
}

// Row-major, little-endian, at any alignment; a row is everything at one index of axis 0.
struct NumberArray {
  NumberType type = NumberType::kUint8;
  Shape shape;           // rank >= 1
  ConstBufferPtr bytes;  // null: no array
  size_t offset = 0;     // of the first number in `bytes`

  int64_t rows() const { return shape.dim(0); }
  int64_t row_elements() const { return shape.product(1, shape.rank()); }
  const std::byte* row(int64_t index) const;

  // Converts a row to float32. REQUIRES: 0 <= index < rows(), room for row_elements().
  void read_floats(int64_t index, float* values) const;

  // The first number of a row. REQUIRES: an integer type.
  int64_t read_integer(int64_t index) const;
};

}  // namespace ft
