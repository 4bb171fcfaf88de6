#include "runtime/data/number_array.h"

#include <cstring>

#include "runtime/base/check.h"

namespace ft {
namespace {

template <typename T>
T load(const std::byte* source) {
  T value;
  std::memcpy(&value, source, sizeof(T));
  return value;
}

template <typename T>
void convert(const std::byte* source, int64_t count, float* values) {
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(load<T>(source + i * static_cast<int64_t>(sizeof(T))));
  }
}

}  // namespace

const std::byte* NumberArray::row(int64_t index) const {
  FT_CHECK(index >= 0 && index < rows());
  return bytes->data() + offset + static_cast<size_t>(index * row_elements() * number_bytes(type));
}

void NumberArray::read_floats(int64_t index, float* values) const {
  const std::byte* source = row(index);
  switch (type) {
    case NumberType::kUint8:
      return convert<uint8_t>(source, row_elements(), values);
    case NumberType::kInt32:
      return convert<int32_t>(source, row_elements(), values);
    case NumberType::kInt64:
      return convert<int64_t>(source, row_elements(), values);
    case NumberType::kFloat32:
      return convert<float>(source, row_elements(), values);
    case NumberType::kFloat64:
      return convert<double>(source, row_elements(), values);
  }
}

int64_t NumberArray::read_integer(int64_t index) const {
  FT_CHECK(!is_float(type));
  const std::byte* source = row(index);
  if (type == NumberType::kUint8) return load<uint8_t>(source);
  return type == NumberType::kInt32 ? load<int32_t>(source) : load<int64_t>(source);
}

}  // namespace ft
