#include "kernels/broadcast.h"

#include "kernels/reduction.h"
#include "kernels/request.h"

namespace ft {
namespace {

// Labels of merged axes.
constexpr int kAVaries = 1;
constexpr int kBVaries = 2;

int64_t dim_from_end(const Shape& shape, int axis_from_end) {
  return axis_from_end < shape.rank() ? shape.dim(shape.rank() - 1 - axis_from_end) : 1;
}

MergedAxes merge(const Shape& a, const Shape& b, const Shape& y) {
  std::vector<int64_t> dims;
  std::vector<int> labels;
  for (int axis = y.rank() - 1; axis >= 0; --axis) {
    dims.push_back(dim_from_end(y, axis));
    labels.push_back((dim_from_end(a, axis) != 1 ? kAVaries : 0) |
                     (dim_from_end(b, axis) != 1 ? kBVaries : 0));
  }
  return merge_axes(dims, labels, kAVaries | kBVaries);
}

// Where an operand's rows lie: strides in elements by axis, 0 where it is repeated.
struct Operand {
  std::vector<int64_t> strides;
  bool varies_in_row = true;
  bool is_repeated = false;

  Operand(const MergedAxes& axes, int label) : strides(axes.dims.size(), 0) {
    int64_t stride = 1;
    for (size_t axis = axes.dims.size(); axis-- > 0;) {
      if ((axes.labels[axis] & label) == 0) {
        is_repeated = true;
        continue;
      }
      strides[axis] = stride;
      stride *= axes.dims[axis];
    }
    varies_in_row = strides.back() != 0;
  }

  const float* at(const float* base, const MergedAxes& axes, int64_t row, int64_t column) const {
    if (base == nullptr) return nullptr;
    int64_t offset = varies_in_row ? column : 0;
    for (size_t axis = axes.dims.size() - 1; axis-- > 0;) {
      offset += row % axes.dims[axis] * strides[axis];
      row /= axes.dims[axis];
    }
    return base + offset;
  }
};

std::vector<bool> kept_axes(const MergedAxes& axes, int label) {
  std::vector<bool> kept;
  for (const int found : axes.labels) kept.push_back((found & label) != 0);
  return kept;
}

class BinaryKernel final : public Kernel {
 public:
  BinaryKernel(const MergedAxes& axes, const BinaryFormula& formula)
      : axes_(axes),
        formula_(formula),
        a_(axes, kAVaries),
        b_(axes, kBVaries),
        sum_to_a_(axes, kept_axes(axes, kAVaries)),
        sum_to_b_(axes, kept_axes(axes, kBVaries)) {}

  void forward(const ForwardArgs& args) const override {
    const float* a = static_cast<const float*>(args.inputs[0]);
    const float* b = static_cast<const float*>(args.inputs[1]);
    float* y = static_cast<float*>(args.outputs[0]);
    for_pieces(args.pool, [&](int64_t row, int64_t column, int64_t count) {
      formula_.forward(piece(a, b, row, column, count), y + row * axes_.row_length() + column);
    });
  }

  // b first: the gradient of a may be written over that of y.
  void backward(const BackwardArgs& args) const override {
    if (args.grad_inputs[1] != nullptr) {
      gradient(args, formula_.backward_b, b_, sum_to_b_, args.grad_inputs[1]);
    }
    if (args.grad_inputs[0] != nullptr) {
      gradient(args, formula_.backward_a, a_, sum_to_a_, args.grad_inputs[0]);
    }
  }

 private:
  template <typename Function>
  void for_pieces(ThreadPool* pool, const Function& fn) const {
    const int64_t length = axes_.row_length();
    const int64_t pieces = std::max<int64_t>(1, ceil_div(length, kElementsPerTask));
    const int64_t piece_length = std::min(length, kElementsPerTask);
    parallel_for_rows(pool, axes_.row_count() * pieces, piece_length, [&](int64_t index) {
      const int64_t column = index % pieces * kElementsPerTask;
      fn(index / pieces, column, std::min(kElementsPerTask, length - column));
    });
  }

  BinaryRow piece(const float* a, const float* b, int64_t row, int64_t column,
                  int64_t count) const {
    return {a_.at(a, axes_, row, column), b_.at(b, axes_, row, column), a_.varies_in_row,
            b_.varies_in_row, count};
  }

  void gradient(const BackwardArgs& args, void (*terms)(const BinaryRow&, const float*, float*),
                const Operand& operand, const Reduction& sum, float* out) const {
    const float* a = static_cast<const float*>(args.inputs[0]);
    const float* b = static_cast<const float*>(args.inputs[1]);
    const float* grad_y = args.grad_outputs[0];
    const auto write = [&](int64_t row, int64_t column, int64_t count, float* target) {
      terms(piece(a, b, row, column, count), grad_y + row * axes_.row_length() + column, target);
    };
    if (operand.is_repeated) {
      sum.run(args.pool, write, out);
      return;
    }
    for_pieces(args.pool, [&](int64_t row, int64_t column, int64_t count) {
      write(row, column, count, out + row * axes_.row_length() + column);
    });
  }

  const MergedAxes axes_;
  const BinaryFormula formula_;
  const Operand a_;
  const Operand b_;
  const Reduction sum_to_a_;
  const Reduction sum_to_b_;
};

}  // namespace

Result<Shape> broadcast_shape(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int64_t in_a = dim_from_end(a, axis);
    const int64_t in_b = dim_from_end(b, axis);
    if (in_a != in_b && in_a != 1 && in_b != 1) {
      return invalid_error("%s and %s do not broadcast", to_string(a).c_str(),
                           to_string(b).c_str());
    }
    dims.push_back(in_a == 1 ? in_b : in_a);
  }
  const Shape shape(dims);
  if (!is_sane(shape)) return invalid_error("the output would be too large");
  return shape;
}

Result<KernelPlan> make_binary(const OpRequest& request, const BinaryFormula& formula) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 2, 2));
  const Shape& a = request.inputs[0].type.shape;
  const Shape& b = request.inputs[1].type.shape;
  FT_ASSIGN_OR_RETURN(const Shape y, broadcast_shape(a, b));
  KernelPlan plan;
  plan.kernel = std::make_unique<BinaryKernel>(merge(a, b, y), formula);
  plan.outputs = {{DType::kFloat32, y}};
  // A constant has no gradient, so the other operand need not be kept for it.
  if (request.inputs[0].constant == nullptr) plan.saved_inputs |= formula.backward_a_reads;
  if (request.inputs[1].constant == nullptr) plan.saved_inputs |= formula.backward_b_reads;
  plan.in_place = a.element_count() == y.element_count();
  plan.flops = static_cast<double>(y.element_count());
  return plan;
}

}  // namespace ft
