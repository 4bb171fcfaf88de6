#include "runtime/data/number_array.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "runtime/base/check.h"

namespace ft {
namespace {

template <typename T>
T load(const std::byte* source) {
  T value;
  std::memcpy(&value, source, sizeof(T));
  return value;
}

// IEEE 754 binary16.
struct Half {
  uint16_t bits;

  explicit operator double() const {
    const int exponent = bits >> 10 & 31;
    const int fraction = bits & 1023;
    double value =
        std::ldexp(exponent == 0 ? fraction : fraction + 1024, std::max(exponent, 1) - 25);
    if (exponent == 31) {
      value = fraction == 0 ? std::numeric_limits<double>::infinity()
                            : std::numeric_limits<double>::quiet_NaN();
    }
    return bits >> 15 != 0 ? -value : value;
  }
  explicit operator float() const { return static_cast<float>(static_cast<double>(*this)); }
};

struct Bool {
  uint8_t byte;
  explicit operator double() const { return byte != 0 ? 1 : 0; }
  explicit operator float() const { return byte != 0 ? 1 : 0; }
  explicit operator int64_t() const { return byte != 0 ? 1 : 0; }
};

// Calls `visit` with an object of the type that the array's numbers have.
template <typename Visit>
auto with_type(NumberType type, const Visit& visit) {
  switch (type) {
    case NumberType::kUint8:
      return visit(uint8_t{});
    case NumberType::kBool:
      return visit(Bool{});
    case NumberType::kInt8:
      return visit(int8_t{});
    case NumberType::kInt16:
      return visit(int16_t{});
    case NumberType::kUint16:
      return visit(uint16_t{});
    case NumberType::kInt32:
      return visit(int32_t{});
    case NumberType::kUint32:
      return visit(uint32_t{});
    case NumberType::kInt64:
      return visit(int64_t{});
    case NumberType::kUint64:
      return visit(uint64_t{});
    case NumberType::kFloat16:
      return visit(Half{});
    case NumberType::kFloat32:
      return visit(float{});
    case NumberType::kFloat64:
      break;
  }
  return visit(double{});
}

}  // namespace

const std::byte* NumberArray::row(int64_t index) const {
  FT_CHECK(index >= 0 && index < rows());
  return bytes->data() + offset + static_cast<size_t>(index * row_elements() * number_bytes(type));
}

void NumberArray::read_floats(int64_t index, float* values) const {
  const std::byte* source = row(index);
  const int64_t count = row_elements();
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < count; ++i) {
      values[i] = static_cast<float>(load<T>(source + i * static_cast<int64_t>(sizeof(T))));
    }
  });
}

double NumberArray::read_double(int64_t index, int64_t column) const {
  FT_CHECK(column >= 0 && column < row_elements());
  const std::byte* source = row(index) + column * number_bytes(type);
  return with_type(type,
                   [&](auto zero) { return static_cast<double>(load<decltype(zero)>(source)); });
}

int64_t NumberArray::read_integer(int64_t index) const {
  FT_CHECK(!is_float(type));
  const std::byte* source = row(index);
  return with_type(type, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, uint64_t>) {
      const uint64_t largest = std::numeric_limits<int64_t>::max();
      return static_cast<int64_t>(std::min(load<uint64_t>(source), largest));
    } else if constexpr (std::is_integral_v<T> || std::is_same_v<T, Bool>) {
      return static_cast<int64_t>(load<T>(source));
    } else {
      return int64_t{0};
    }
  });
}

}  // namespace ft
