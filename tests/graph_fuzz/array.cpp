#include "tests/graph_fuzz/array.h"

#include <algorithm>
#include <cmath>

namespace ft::fuzz {
namespace {

int64_t from_end(const Dims& dims, size_t axis) {
  return axis < dims.size() ? dims[dims.size() - 1 - axis] : 1;
}

// By element of a tensor of `dims`, the sum of its coordinates times `strides`.
std::vector<int64_t> indices(const Dims& dims, const Dims& strides) {
  std::vector<int64_t> list = {0};
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    std::vector<int64_t> next;
    next.reserve(list.size() * static_cast<size_t>(dims[axis]));
    for (const int64_t base : list) {
      for (int64_t i = 0; i < dims[axis]; ++i) next.push_back(base + i * strides[axis]);
    }
    list = std::move(next);
  }
  return list;
}

Dims row_major_strides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t axis = dims.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * dims[axis];
  return strides;
}

}  // namespace

int64_t count_of(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

Array zeros(const Dims& dims) {
  return {dims, std::vector<double>(static_cast<size_t>(count_of(dims)), 0.0)};
}

double largest(const Array& array) {
  double most = 0;
  for (const double x : array.at) most = std::max(most, std::abs(x));
  return most;
}

bool do_broadcast(const Dims& a, const Dims& b) {
  for (size_t axis = 0; axis < std::min(a.size(), b.size()); ++axis) {
    const int64_t x = from_end(a, axis);
    const int64_t y = from_end(b, axis);
    if (x != y && x != 1 && y != 1) return false;
  }
  return true;
}

Dims broadcast(const Dims& a, const Dims& b) {
  Dims dims;
  for (size_t axis = std::max(a.size(), b.size()); axis-- > 0;) {
    const int64_t x = from_end(a, axis);
    dims.push_back(x == 1 ? from_end(b, axis) : x);
  }
  return dims;
}

std::vector<int64_t> spread(const Dims& dims, const Dims& whole) {
  const Dims own = row_major_strides(dims);
  Dims strides(whole.size(), 0);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != 1) strides[whole.size() - dims.size() + i] = own[i];
  }
  return indices(whole, strides);
}

std::vector<int64_t> permuted(const Dims& dims, const Dims& perm) {
  const Dims own = row_major_strides(dims);
  Dims turned;
  Dims strides;
  for (const int64_t axis : perm) {
    turned.push_back(dims[static_cast<size_t>(axis)]);
    strides.push_back(own[static_cast<size_t>(axis)]);
  }
  return indices(turned, strides);
}

}  // namespace ft::fuzz
