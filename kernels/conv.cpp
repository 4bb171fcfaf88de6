// Conv, 1-D and 2-D: Y[o, n, p] = B[o] + sum over c, tap of W[o, c, tap] X[c, n, p * stride + tap].
//   dX[c, n, q] = sum over o, tap of W[o, c, tap] dY[o, n, p]  where p * stride + tap = q
//   dW[o, c, tap] = sum over n, p of dY[o, n, p] X[c, n, p * stride + tap]
//   dB[o] = sum over n, p of dY[o, n, p]
// https://onnx.ai/onnx/operators/onnx__Conv.html
//
// This file checks and chooses; the paths are conv_pointwise.cpp, conv_im2col.cpp,
// conv_direct.cpp, conv_depthwise.cpp and conv_trimmed.cpp. The shape alone decides which one runs.

#include "kernels/chunked_sum.h"
#include "kernels/conv_shape.h"
#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/request.h"

namespace ft {
namespace {

Status check_operands(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 2, 3));
  if (request.inputs[0].type.shape.rank() < 3 || request.inputs[1].type.shape.rank() < 3) {
    return invalid_error("input %s or weight %s has no spatial dimension",
                         map_text(request.inputs[0].type.shape).c_str(),
                         to_string(request.inputs[1].type.shape).c_str());
  }
  return {};
}

Result<ConvShape> parse_shape(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_operands(request));
  const Shape& x = request.inputs[0].type.shape;
  const Shape& w = request.inputs[1].type.shape;
  FT_ASSIGN_OR_RETURN(
      const std::vector<int64_t> kernel,
      request.attributes->get_ints("kernel_shape", {w.dims().begin() + 2, w.dims().end()}));
  if (!std::equal(kernel.begin(), kernel.end(), w.dims().begin() + 2, w.dims().end())) {
    return invalid_error("kernel_shape does not fit the weight %s: the file is damaged",
                         to_string(w).c_str());
  }
  ConvShape shape;
  FT_ASSIGN_OR_RETURN(shape.window, parse_window(*request.attributes, x, kernel));
  FT_ASSIGN_OR_RETURN(shape.groups, request.attributes->get_int("group", 1));
  shape.images = x.dim(1);
  shape.channels_in = x.dim(0);
  shape.channels_out = w.dim(0);
  shape.has_bias = has_input(request, 2);
  if (x.element_count() == 0 || w.element_count() == 0) {
    return invalid_error("input %s or weight %s is empty", map_text(x).c_str(),
                         to_string(w).c_str());
  }
  if (shape.groups < 1 || shape.channels_in % shape.groups != 0 ||
      shape.channels_out % shape.groups != 0) {
    return invalid_error("group %lld does not divide %lld input and %lld output channels",
                         static_cast<long long>(shape.groups),
                         static_cast<long long>(shape.channels_in),
                         static_cast<long long>(shape.channels_out));
  }
  if (w.dim(1) != shape.group_channels_in()) {
    return invalid_error("the weight %s asks for %lld channels per group, the input has %lld",
                         to_string(w).c_str(), static_cast<long long>(w.dim(1)),
                         static_cast<long long>(shape.group_channels_in()));
  }
  if (shape.has_bias && !(request.inputs[2].type.shape == Shape{shape.channels_out})) {
    return invalid_error("the bias %s does not fit %lld output channels",
                         to_string(request.inputs[2].type.shape).c_str(),
                         static_cast<long long>(shape.channels_out));
  }
  return shape;
}

}  // namespace

ConvPath make_conv_path(const ConvShape& shape) {
  std::optional<ConvPath> trimmed = make_conv_trimmed(shape);
  if (trimmed) return std::move(*trimmed);
  const Window& w = shape.window;
  if (w.kernel_area() == 1 && w.stride_height == 1 && w.stride_width == 1 && !w.has_padding() &&
      w.input_plane() == w.output_plane()) {
    return make_conv_pointwise(shape);
  }
  if (shape.groups == shape.channels_in && shape.groups == shape.channels_out) {
    return make_conv_depthwise(shape);
  }
  std::optional<ConvPath> direct = make_conv_direct(shape);
  if (direct) return std::move(*direct);
  return make_conv_im2col(shape);
}

void conv_bias_gradient(const ConvShape& shape, const float* dy, float* grad_bias,
                        ThreadPool* pool) {
  if (grad_bias == nullptr) return;
  const int64_t positions = shape.positions_out();
  parallel_for_rows(pool, shape.channels_out, positions, [&](int64_t channel) {
    grad_bias[channel] = static_cast<float>(chunked_sum(dy + channel * positions, positions));
  });
}

Result<KernelPlan> make_conv(const OpRequest& request) {
  FT_ASSIGN_OR_RETURN(const ConvShape shape, parse_shape(request));
  const Shape output =
      window_output_shape(shape.window, request.inputs[0].type.shape, shape.channels_out);
  if (!is_sane(output)) return invalid_error("the output would be too large");
  ConvPath path = make_conv_path(shape);
  KernelPlan plan;
  plan.kernel = std::move(path.kernel);
  plan.outputs = {{DType::kFloat32, output}};
  plan.saved_inputs = 0b011;
  plan.forward_workspace_bytes = path.forward_workspace_bytes;
  plan.backward_workspace_bytes = path.backward_workspace_bytes;
  plan.splits_backward = path.splits_backward;
  plan.flops =
      2.0 * static_cast<double>(output.element_count()) * static_cast<double>(shape.group_depth());
  return plan;
}

}  // namespace ft
