#pragma once

// Axes of a row-major tensor that a loop treats alike, made one: {64, 10, 7, 7} whose last two axes
// are summed is {640, 49}. Loops get longer and the special cases of broadcasting (equal shapes, a
// scalar, a value per channel) become the same few.

#include <cstdint>
#include <vector>

namespace ft {

struct MergedAxes {
  std::vector<int64_t> dims;  // at least one
  std::vector<int> labels;

  int rank() const { return static_cast<int>(dims.size()); }
  int64_t row_length() const { return dims.back(); }
  // Product of all dimensions but the last.
  int64_t row_count() const {
    int64_t count = 1;
    for (size_t axis = 0; axis + 1 < dims.size(); ++axis) count *= dims[axis];
    return count;
  }
};

// Drops axes of 1 and merges neighbours with equal labels. A tensor of one element becomes a single
// axis labelled `single_label`. REQUIRES: dims and labels of one size.
inline MergedAxes merge_axes(const std::vector<int64_t>& dims, const std::vector<int>& labels,
                             int single_label) {
  MergedAxes merged;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] == 1) continue;
    if (!merged.dims.empty() && merged.labels.back() == labels[axis]) {
      merged.dims.back() *= dims[axis];
    } else {
      merged.dims.push_back(dims[axis]);
      merged.labels.push_back(labels[axis]);
    }
  }
  if (merged.dims.empty()) {
    merged.dims.push_back(1);
    merged.labels.push_back(single_label);
  }
  return merged;
}

}  // namespace ft
