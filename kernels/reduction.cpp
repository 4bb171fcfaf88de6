#include "kernels/reduction.h"

#include "runtime/base/check.h"

namespace ft {

Reduction::Reduction(const MergedAxes& axes, const std::vector<bool>& kept)
    : row_length_(axes.row_length()), keeps_last_(kept.back()) {
  FT_CHECK(kept.size() == axes.dims.size());
  int64_t stride = axes.row_count();
  for (size_t axis = 0; axis + 1 < axes.dims.size(); ++axis) {
    stride = axes.dims[axis] == 0 ? 0 : stride / axes.dims[axis];
    (kept[axis] ? kept_ : summed_).push_back({axes.dims[axis], stride});
  }
  kept_count_ = count_of(kept_);
  summed_count_ = count_of(summed_);
}

int64_t Reduction::count_of(const std::vector<Axis>& axes) {
  int64_t count = 1;
  for (const Axis& axis : axes) count *= axis.dim;
  return count;
}

int64_t Reduction::row_of(const std::vector<Axis>& axes, int64_t index) {
  int64_t row = 0;
  for (size_t i = axes.size(); i-- > 0;) {
    row += index % axes[i].dim * axes[i].stride;
    index /= axes[i].dim;
  }
  return row;
}

}  // namespace ft
