// Transpose: y[i_perm[0], i_perm[1], ...] = x[i_0, i_1, ...]; the axes are reversed unless `perm`
// is given. dx = dy, transposed back. https://onnx.ai/onnx/operators/onnx__Transpose.html
//
// Axes that stay neighbours are merged first, which leaves few shapes: nothing to do (a view),
// blocks to copy ({C, N, H W} <-> {N, C, H W}), and planes to turn, tile by tile.

#include <algorithm>
#include <cstring>

#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/request.h"

namespace ft {
namespace {

// 32 x 32 floats: two such tiles are 8 KiB and stay in L1.
constexpr int64_t kTile = 32;

struct Permutation {
  std::vector<int64_t> dims;  // of the input
  std::vector<int> perm;      // output axis -> input axis
};

Permutation inverse(const Permutation& p) {
  Permutation result{std::vector<int64_t>(p.dims.size()), std::vector<int>(p.perm.size())};
  for (size_t axis = 0; axis < p.perm.size(); ++axis) {
    const size_t source = static_cast<size_t>(p.perm[axis]);
    result.dims[axis] = p.dims[source];
    result.perm[source] = static_cast<int>(axis);
  }
  return result;
}

// Without axes of 1, and with one axis for those that are neighbours before and after.
Permutation merged(const Permutation& p) {
  const int rank = static_cast<int>(p.dims.size());
  std::vector<int> order;  // input axes in the output's order
  for (const int axis : p.perm) {
    if (p.dims[static_cast<size_t>(axis)] != 1) order.push_back(axis);
  }
  const auto next_of = [&](int axis) {  // the next input axis that is not 1
    do ++axis;
    while (axis < rank && p.dims[static_cast<size_t>(axis)] == 1);
    return axis;
  };
  std::vector<int64_t> merged_dims(p.dims.size(), 1);  // at the first input axis of each run
  std::vector<int> heads;
  int expected = -1;
  for (const int axis : order) {
    if (axis != expected) heads.push_back(axis);
    merged_dims[static_cast<size_t>(heads.back())] *= p.dims[static_cast<size_t>(axis)];
    expected = next_of(axis);
  }
  std::vector<int> sorted = heads;
  std::sort(sorted.begin(), sorted.end());
  Permutation result;
  for (const int head : sorted) result.dims.push_back(merged_dims[static_cast<size_t>(head)]);
  for (const int head : heads) {
    const auto found = std::lower_bound(sorted.begin(), sorted.end(), head);
    result.perm.push_back(static_cast<int>(found - sorted.begin()));
  }
  return result;
}

// y[row * y_stride + column] = x[column * x_stride + row] for a tile.
void turn_tile(const float* x, int64_t x_stride, int64_t rows, int64_t columns, int64_t y_stride,
               float* y) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      y[row * y_stride + column] = x[column * x_stride + row];
    }
  }
}

// One direction of a merged permutation, as offsets and strides.
class Mover {
 public:
  explicit Mover(const Permutation& p) {
    const int rank = static_cast<int>(p.dims.size());
    std::vector<int64_t> x_strides(p.dims.size(), 1);
    for (size_t axis = p.dims.size() - 1; axis-- > 0;) {
      x_strides[axis] = x_strides[axis + 1] * p.dims[axis + 1];
    }
    std::vector<Axis> axes;  // in the output's order
    int64_t y_stride = 1;
    for (size_t axis = p.dims.size(); axis-- > 0;) {
      const size_t source = static_cast<size_t>(p.perm[axis]);
      axes.insert(axes.begin(), {p.dims[source], x_strides[source], y_stride});
      y_stride *= p.dims[source];
    }
    columns_ = axes.back();
    axes.pop_back();
    if (p.perm.back() == rank - 1) {
      outer_ = axes;
      return;
    }
    // The input's last axis, wherever it stands in the output.
    const auto last =
        std::find_if(axes.begin(), axes.end(), [](const Axis& axis) { return axis.x_stride == 1; });
    rows_ = *last;
    axes.erase(last);
    outer_ = axes;
    is_turned_ = true;
  }

  void run(const float* x, float* y, ThreadPool* pool) const {
    int64_t count = 1;
    for (const Axis& axis : outer_) count *= axis.dim;
    if (!is_turned_) {
      parallel_for_rows(pool, count, columns_.dim, [&](int64_t index) {
        const Offsets at = offsets(index);
        std::memcpy(y + at.y, x + at.x, static_cast<size_t>(columns_.dim) * sizeof(float));
      });
      return;
    }
    const int64_t bands = ceil_div(rows_.dim, kTile);
    parallel_for_rows(pool, count * bands, columns_.dim * kTile, [&](int64_t index) {
      const Offsets at = offsets(index / bands);
      const int64_t row = index % bands * kTile;
      turn_band(x + at.x + row, y + at.y + row * rows_.y_stride, std::min(kTile, rows_.dim - row));
    });
  }

 private:
  struct Axis {
    int64_t dim = 1;
    int64_t x_stride = 0;
    int64_t y_stride = 0;
  };
  struct Offsets {
    int64_t x = 0;
    int64_t y = 0;
  };

  Offsets offsets(int64_t index) const {
    Offsets at;
    for (size_t axis = outer_.size(); axis-- > 0;) {
      const int64_t position = index % outer_[axis].dim;
      at.x += position * outer_[axis].x_stride;
      at.y += position * outer_[axis].y_stride;
      index /= outer_[axis].dim;
    }
    return at;
  }

  void turn_band(const float* x, float* y, int64_t rows) const {
    for (int64_t column = 0; column < columns_.dim; column += kTile) {
      turn_tile(x + column * columns_.x_stride, columns_.x_stride, rows,
                std::min(kTile, columns_.dim - column), rows_.y_stride, y + column);
    }
  }

  std::vector<Axis> outer_;
  Axis rows_;     // contiguous in the input; only if turned
  Axis columns_;  // contiguous in the output
  bool is_turned_ = false;
};

class TransposeKernel final : public Kernel {
 public:
  explicit TransposeKernel(const Permutation& p) : there_(p), back_(inverse(p)) {}

  void forward(const ForwardArgs& args) const override {
    there_.run(static_cast<const float*>(args.inputs[0]), static_cast<float*>(args.outputs[0]),
               args.pool);
  }
  void backward(const BackwardArgs& args) const override {
    if (args.grad_inputs[0] == nullptr) return;
    back_.run(args.grad_outputs[0], args.grad_inputs[0], args.pool);
  }

 private:
  const Mover there_;
  const Mover back_;
};

Result<Permutation> read_permutation(const OpRequest& request) {
  const Shape& shape = request.inputs[0].type.shape;
  std::vector<int64_t> axes;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) axes.push_back(axis);
  FT_ASSIGN_OR_RETURN(axes, request.attributes->get_ints("perm", axes));
  if (static_cast<int>(axes.size()) != shape.rank()) {
    return invalid_error("perm has %zu axes, the input %s has %d", axes.size(),
                         to_string(shape).c_str(), shape.rank());
  }
  FT_RETURN_IF_ERROR(axis_flags(axes, shape.rank()).status());
  Permutation p;
  p.dims.assign(shape.dims().begin(), shape.dims().end());
  for (const int64_t axis : axes) {
    FT_ASSIGN_OR_RETURN(const int position, normalise_axis(axis, shape.rank()));
    p.perm.push_back(position);
  }
  return p;
}

}  // namespace

Result<KernelPlan> make_transpose(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  FT_ASSIGN_OR_RETURN(const Permutation p, read_permutation(request));
  const Shape y{std::span<const int64_t>(inverse(p).dims)};
  const Permutation moved = merged(p);
  if (moved.dims.size() < 2 || y.element_count() == 0) return plan_view(request, y);
  KernelPlan plan;
  plan.kernel = std::make_unique<TransposeKernel>(moved);
  plan.outputs = {{DType::kFloat32, y}};
  return plan;
}

}  // namespace ft
