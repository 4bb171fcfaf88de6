// The 1x1 convolution: in CNHW all images of the batch are one matrix, so that each of
// Y = W X, dX = W^T dY and dW = dY X^T is one GEMM per group. See conv.cpp for the formulas.

#include "kernels/conv_shape.h"
#include "kernels/gemm.h"

namespace ft {
namespace {

class ConvPointwise : public Kernel {
 public:
  explicit ConvPointwise(const ConvShape& shape) : shape_(shape) {}

  GemmShape weight_gradient() const {
    return {.transpose_b = true,
            .m = shape_.group_channels_out(),
            .n = shape_.group_channels_in(),
            .k = shape_.positions_in(),
            .lda = shape_.positions_in(),
            .ldb = shape_.positions_in(),
            .ldc = shape_.group_channels_in()};
  }

  void forward(const ForwardArgs& args) const override {
    const GemmShape product = {.m = shape_.group_channels_out(),
                               .n = shape_.positions_in(),
                               .k = shape_.group_channels_in(),
                               .lda = shape_.group_channels_in(),
                               .ldb = shape_.positions_in(),
                               .ldc = shape_.positions_in()};
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* w = static_cast<const float*>(args.inputs[1]);
    const auto* bias = shape_.has_bias ? static_cast<const float*>(args.inputs[2]) : nullptr;
    auto* y = static_cast<float*>(args.outputs[0]);
    for (int64_t group = 0; group < shape_.groups; ++group) {
      gemm(product, w + group * weight_elements(), x + group * input_elements(),
           bias == nullptr ? nullptr : bias + group * shape_.group_channels_out(),
           y + group * output_elements(), args.pool);
    }
  }

  void backward(const BackwardArgs& args) const override {
    const GemmShape input_gradient = {.transpose_a = true,
                                      .m = shape_.group_channels_in(),
                                      .n = shape_.positions_in(),
                                      .k = shape_.group_channels_out(),
                                      .lda = shape_.group_channels_in(),
                                      .ldb = shape_.positions_in(),
                                      .ldc = shape_.positions_in()};
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* w = static_cast<const float*>(args.inputs[1]);
    const float* dy = args.grad_outputs[0];
    float* const dx = args.grad_inputs[0];
    float* const dw = args.grad_inputs[1];
    for (int64_t group = 0; group < shape_.groups; ++group) {
      const float* group_dy = dy + group * output_elements();
      if (dw != nullptr) {
        gemm_long_k(weight_gradient(), group_dy, x + group * input_elements(),
                    dw + group * weight_elements(), args.workspace, args.pool);
      }
      if (dx != nullptr) {
        gemm(input_gradient, w + group * weight_elements(), group_dy, nullptr,
             dx + group * input_elements(), args.pool);
      }
    }
    if (shape_.has_bias) conv_bias_gradient(shape_, dy, args.grad_inputs[2], args.pool);
  }

 private:
  // Elements of one group.
  int64_t weight_elements() const {
    return shape_.group_channels_out() * shape_.group_channels_in();
  }
  int64_t input_elements() const { return shape_.group_channels_in() * shape_.positions_in(); }
  int64_t output_elements() const { return shape_.group_channels_out() * shape_.positions_in(); }

  ConvShape shape_;
};

}  // namespace

ConvPath make_conv_pointwise(const ConvShape& shape) {
  auto kernel = std::make_unique<ConvPointwise>(shape);
  ConvPath path;
  path.backward_workspace_bytes = gemm_long_k_workspace_bytes(kernel->weight_gradient());
  path.splits_backward = true;
  path.kernel = std::move(kernel);
  return path;
}

}  // namespace ft
