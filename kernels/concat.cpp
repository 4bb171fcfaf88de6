// Concat: y holds the inputs one after the other along `axis`; each dx is its part of dy.
// https://onnx.ai/onnx/operators/onnx__Concat.html
//
// Every input is a number of blocks, one for each index of the axes before `axis`. Channels of
// CNHW maps are axis 0: one block each.

#include <cinttypes>
#include <cstring>

#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/request.h"

namespace ft {
namespace {

// Copies `blocks` runs of `length` floats, which lie so many apart in source and target.
void copy_blocks(const float* source, int64_t source_stride, float* target, int64_t target_stride,
                 int64_t length, int64_t blocks, ThreadPool* pool) {
  const int64_t pieces = std::max<int64_t>(1, ceil_div(length, kElementsPerTask));
  parallel_for_rows(pool, blocks * pieces, std::min(length, kElementsPerTask), [&](int64_t index) {
    const int64_t block = index / pieces;
    const int64_t first = index % pieces * kElementsPerTask;
    const int64_t count = std::min(kElementsPerTask, length - first);
    std::memcpy(target + block * target_stride + first, source + block * source_stride + first,
                static_cast<size_t>(count) * sizeof(float));
  });
}

class ConcatKernel final : public Kernel {
 public:
  ConcatKernel(std::vector<int64_t> lengths, int64_t blocks)
      : lengths_(std::move(lengths)), blocks_(blocks) {
    for (const int64_t length : lengths_) total_ += length;
  }

  void forward(const ForwardArgs& args) const override {
    float* y = static_cast<float*>(args.outputs[0]);
    for (size_t i = 0; i < lengths_.size(); ++i) {
      copy_blocks(static_cast<const float*>(args.inputs[i]), lengths_[i], y, total_, lengths_[i],
                  blocks_, args.pool);
      y += lengths_[i];
    }
  }

  void backward(const BackwardArgs& args) const override {
    const float* dy = args.grad_outputs[0];
    for (size_t i = 0; i < lengths_.size(); ++i) {
      if (args.grad_inputs[i] != nullptr) {
        copy_blocks(dy, total_, args.grad_inputs[i], lengths_[i], lengths_[i], blocks_, args.pool);
      }
      dy += lengths_[i];
    }
  }

 private:
  const std::vector<int64_t> lengths_;  // of a block of each input
  const int64_t blocks_;
  int64_t total_ = 0;
};

}  // namespace

Result<KernelPlan> make_concat(const OpRequest& request) {
  const int count = static_cast<int>(request.inputs.size());
  FT_RETURN_IF_ERROR(check_float_inputs(request, std::max(1, count), count));
  if (!request.attributes->has("axis")) return invalid_error("attribute 'axis' is missing");
  const Shape& first = request.inputs[0].type.shape;
  FT_ASSIGN_OR_RETURN(const int64_t given, request.attributes->get_int("axis", 0));
  FT_ASSIGN_OR_RETURN(const int axis, normalise_axis(given, first.rank()));
  Shape y = first;
  y.set_dim(axis, 0);
  std::vector<int64_t> lengths;
  for (const OpInput& input : request.inputs) {
    const Shape& x = input.type.shape;
    Shape expected = first;
    if (x.rank() == first.rank()) expected.set_dim(axis, x.dim(axis));
    if (!(x == expected)) {
      return invalid_error("%s and %s differ in more than axis %d", to_string(first).c_str(),
                           to_string(x).c_str(), axis);
    }
    y.set_dim(axis, y.dim(axis) + x.dim(axis));
    lengths.push_back(x.product(axis, x.rank()));
  }
  if (!is_sane(y)) return invalid_error("the output would be too large");
  KernelPlan plan;
  plan.kernel = std::make_unique<ConcatKernel>(std::move(lengths), y.product(0, axis));
  plan.outputs = {{DType::kFloat32, y}};
  return plan;
}

}  // namespace ft
