#pragma once

// NumberArray: what a data file holds, in the file's own type and bytes. Samples stay in this
// compact form in memory and become floats one row at a time.

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/tensor.h"
#include "runtime/base/buffer.h"

namespace ft {

enum class NumberType : uint8_t {
  kUint8,
  kBool,
  kInt8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kFloat16,
  kFloat32,
  kFloat64
};

struct NumberTypeInfo {
  NumberType type;
  const char* name;   // as numpy calls it
  const char* descr;  // as a .npy header does
  int64_t bytes;
  bool is_float;
};

inline constexpr NumberTypeInfo kNumberTypes[] = {  // by NumberType
    {NumberType::kUint8, "uint8", "|u1", 1, false},
    {NumberType::kBool, "bool", "|b1", 1, false},
    {NumberType::kInt8, "int8", "|i1", 1, false},
    {NumberType::kInt16, "int16", "<i2", 2, false},
    {NumberType::kUint16, "uint16", "<u2", 2, false},
    {NumberType::kInt32, "int32", "<i4", 4, false},
    {NumberType::kUint32, "uint32", "<u4", 4, false},
    {NumberType::kInt64, "int64", "<i8", 8, false},
    {NumberType::kUint64, "uint64", "<u8", 8, false},
    {NumberType::kFloat16, "float16", "<f2", 2, true},
    {NumberType::kFloat32, "float32", "<f4", 4, true},
    {NumberType::kFloat64, "float64", "<f8", 8, true}};

constexpr const NumberTypeInfo& info_of(NumberType type) {
  return kNumberTypes[static_cast<size_t>(type)];
}
constexpr int64_t number_bytes(NumberType type) { return info_of(type).bytes; }
constexpr bool is_float(NumberType type) { return info_of(type).is_float; }

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

  // The number at `column` of a row as the file holds it. REQUIRES: 0 <= column < row_elements().
  double read_double(int64_t index, int64_t column) const;

  // The first number of a row; those above 2^63 become the largest. REQUIRES: an integer type.
  int64_t read_integer(int64_t index) const;
};

}  // namespace ft
