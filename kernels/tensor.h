#pragma once

// Shapes and element types. Storage is somebody else's (arena or Buffer); kernels see raw pointers
// and know their shapes from the plan.
//
// Feature maps (rank >= 3, from convolutions, pools and batch norms) are stored CNHW: channel
// outermost, then image. The importer rewrites the model so that every shape in it is the physical,
// row-major shape: a map of N images and C channels has the shape {C, N, H, W}. Kernels know no
// other layout and no strides.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "runtime/base/check.h"

namespace ft {

enum class DType : uint8_t { kFloat32 = 0, kInt64 = 1 };

constexpr int64_t dtype_bytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 8; }

constexpr int kRankMax = 8;
// Above any model for these boards, and far from overflow in products of two counts; on a 32-bit
// board, 8 bytes each must fit its address space.
constexpr int64_t kElementsMax = int64_t{1} << (sizeof(void*) == 4 ? 27 : 33);

class Shape {
 public:
  Shape() = default;  // rank 0: a scalar
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
    FT_CHECK(rank_ <= kRankMax);
    for (int i = 0; i < rank_; ++i) dims_[static_cast<size_t>(i)] = dims[static_cast<size_t>(i)];
  }

  int rank() const { return rank_; }
  int64_t dim(int axis) const {
    FT_CHECK(axis >= 0 && axis < rank_);
    return dims_[static_cast<size_t>(axis)];
  }
  void set_dim(int axis, int64_t value) {
    FT_CHECK(axis >= 0 && axis < rank_);
    dims_[static_cast<size_t>(axis)] = value;
  }
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }

  // Product of the dimensions [first, last); 1 when empty.
  int64_t product(int first, int last) const {
    int64_t count = 1;
    for (int i = first; i < last; ++i) count *= dim(i);
    return count;
  }
  int64_t element_count() const { return product(0, rank_); }

  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i) {
      if (dim(i) != other.dim(i)) return false;
    }
    return true;
  }

 private:
  std::array<int64_t, kRankMax> dims_{};
  int rank_ = 0;
};

// "3x32x32"; "scalar" for rank 0.
std::string to_string(const Shape& shape);

// False when a dimension is negative or the product exceeds kElementsMax: sizes from outside must
// pass here before anything is computed with them.
bool is_sane(const Shape& shape);

struct TensorType {
  DType dtype = DType::kFloat32;
  Shape shape;

  int64_t bytes() const { return shape.element_count() * dtype_bytes(dtype); }
  bool operator==(const TensorType& other) const = default;
};

}  // namespace ft
