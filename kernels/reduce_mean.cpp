// ReduceMean: y = mean of x over `axes` (all of them if not given); keepdims (1 unless given)
// leaves dimensions of 1. With M elements to a mean:
//   dx = dy / M, repeated along the axes
// https://onnx.ai/onnx/operators/onnx__ReduceMean.html

#include <cstring>

#include "kernels/ops.h"
#include "kernels/reduction.h"
#include "kernels/request.h"

namespace ft {
namespace {

constexpr int kSummed = 0;
constexpr int kKept = 1;

std::vector<bool> kept_axes(const MergedAxes& axes) {
  std::vector<bool> kept;
  for (const int label : axes.labels) kept.push_back(label == kKept);
  return kept;
}

class ReduceMeanKernel final : public Kernel {
 public:
  ReduceMeanKernel(const MergedAxes& axes, int64_t outputs, int64_t elements)
      : axes_(axes),
        sum_(axes, kept_axes(axes)),
        outputs_(outputs),
        factor_(1.0F / static_cast<float>(std::max<int64_t>(1, elements))) {}

  void forward(const ForwardArgs& args) const override {
    const float* x = static_cast<const float*>(args.inputs[0]);
    float* y = static_cast<float*>(args.outputs[0]);
    const auto term = [&](int64_t row, int64_t column, int64_t count, float* buffer) {
      std::memcpy(buffer, x + row * axes_.row_length() + column,
                  static_cast<size_t>(count) * sizeof(float));
    };
    sum_.run(args.pool, term, y);
    parallel_for_elements(args.pool, outputs_, [&](int64_t first, int64_t last) {
      loops::scale(y + first, factor_, y + first, last - first);
    });
  }

  void backward(const BackwardArgs& args) const override {
    float* dx = args.grad_inputs[0];
    if (dx == nullptr) return;
    const float* dy = args.grad_outputs[0];
    const int64_t length = axes_.row_length();
    parallel_for_rows(args.pool, axes_.row_count(), length, [&](int64_t row) {
      const float* source = dy + output_of(row);
      if (axes_.labels.back() == kKept) {
        loops::scale(source, factor_, dx + row * length, length);
      } else {
        loops::fill(*source * factor_, dx + row * length, length);
      }
    });
  }

 private:
  // Offset in y of the first element that row `row` of x is part of.
  int64_t output_of(int64_t row) const {
    int64_t offset = 0;
    int64_t stride = axes_.labels.back() == kKept ? axes_.row_length() : 1;
    for (size_t axis = axes_.dims.size() - 1; axis-- > 0;) {
      if (axes_.labels[axis] == kKept) {
        offset += row % axes_.dims[axis] * stride;
        stride *= axes_.dims[axis];
      }
      row /= axes_.dims[axis];
    }
    return offset;
  }

  const MergedAxes axes_;
  const Reduction sum_;
  const int64_t outputs_;
  const float factor_;
};

}  // namespace

Result<KernelPlan> make_reduce_mean(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  const Shape& x = request.inputs[0].type.shape;
  FT_ASSIGN_OR_RETURN(const auto axes, request.attributes->get_ints("axes", {}));
  FT_ASSIGN_OR_RETURN(const int64_t keep_dims, request.attributes->get_int("keepdims", 1));
  FT_ASSIGN_OR_RETURN(std::vector<bool> summed, axis_flags(axes, x.rank()));
  if (axes.empty()) summed.assign(summed.size(), true);
  std::vector<int64_t> dims;
  std::vector<int> labels;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool is_summed = summed[static_cast<size_t>(axis)];
    labels.push_back(is_summed ? kSummed : kKept);
    if (!is_summed || keep_dims != 0) dims.push_back(is_summed ? 1 : x.dim(axis));
  }
  const Shape y(dims);
  const int64_t outputs = y.element_count();
  const MergedAxes merged = merge_axes({x.dims().begin(), x.dims().end()}, labels, kKept);
  KernelPlan plan;
  plan.kernel = std::make_unique<ReduceMeanKernel>(merged, outputs,
                                                   outputs == 0 ? 0 : x.element_count() / outputs);
  plan.outputs = {{DType::kFloat32, y}};
  plan.flops = static_cast<double>(x.element_count());
  return plan;
}

}  // namespace ft
