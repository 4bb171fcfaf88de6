// BatchNormalization over all images and positions of a channel (M elements):
//   training: mean = sum x / M, var = sum (x - mean)^2 / M        (the population variance)
//   frozen and inference: mean and var are inputs 3 and 4
//   y = (x - mean) * scale * r + B                                r = 1 / sqrt(var + epsilon)
//   running_mean' = momentum * running_mean + (1 - momentum) * mean, running_var' likewise
// Backward, with S0 = sum dy and S1 = sum dy * (x - mean):
//   dB = S0, dscale = S1 * r
//   training: dx = scale * r * (dy - S0 / M - (x - mean) * r^2 * S1 / M)
//   frozen:   dx = scale * r * dy
// https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
//
// ONNX's running variance is the population variance where PyTorch's is the unbiased one; the
// file's semantics count. Opset 13 has no training_mode: a node is in training when it has the
// outputs of training; its outputs 3 and 4 (saved mean and variance) are never written.

#include <cmath>

#include "kernels/chunked_sum.h"
#include "kernels/moments.h"
#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/request.h"

namespace ft {
namespace {

struct NormOptions {
  int64_t channels = 0;
  int64_t row = 0;               // M
  bool is_channel_last = false;  // {N, C}: transposed to {C, N} on the way in and out
  bool uses_batch_statistics = false;
  bool saves = false;  // for backward
  float epsilon = 1e-5F;
  float momentum = 0.9F;
};

// target[column, row] = source[row, column]
void transpose(const float* source, int64_t rows, int64_t columns, float* target) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      target[column * rows + row] = source[row * columns + column];
    }
  }
}

class BatchNormalization : public Kernel {
 public:
  explicit BatchNormalization(const NormOptions& options) : options_(options) {}

  void forward(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    auto* const stash = reinterpret_cast<float*>(args.stash);  // [C] mean, [C] r
    float* rows_y = y;
    if (options_.is_channel_last) {
      auto* const rows_x = reinterpret_cast<float*>(args.workspace);
      transpose(x, options_.row, options_.channels, rows_x);
      x = rows_x;
      rows_y = rows_x + elements();
    }
    const auto* scale = static_cast<const float*>(args.inputs[1]);
    const auto* offset = static_cast<const float*>(args.inputs[2]);
    parallel_for_rows(args.pool, options_.channels, options_.row, [&](int64_t channel) {
      const float* row = x + channel * options_.row;
      const Moments moments = choose_moments(args, row, channel);
      const auto mean = static_cast<float>(moments.mean);
      const auto inverse = static_cast<float>(
          1.0 / std::sqrt(moments.variance + static_cast<double>(options_.epsilon)));
      if (options_.saves) {
        stash[channel] = mean;
        stash[options_.channels + channel] = inverse;
      }
      loops::normalize(row, mean, scale[channel] * inverse, offset[channel],
                       rows_y + channel * options_.row, options_.row);
    });
    if (options_.is_channel_last) transpose(rows_y, options_.channels, options_.row, y);
  }

  // From the moments in the stash.
  void recompute(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    const auto* scale = static_cast<const float*>(args.inputs[1]);
    const auto* offset = static_cast<const float*>(args.inputs[2]);
    const auto* mean = reinterpret_cast<const float*>(args.stash);
    const float* inverse = mean + options_.channels;
    parallel_for_rows(args.pool, options_.channels, options_.row, [&](int64_t channel) {
      const int64_t at = channel * options_.row;
      loops::normalize(x + at, mean[channel], scale[channel] * inverse[channel], offset[channel],
                       y + at, options_.row);
    });
  }

  void backward(const BackwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const float* dy = args.grad_outputs[0];
    float* const dx = args.grad_inputs[0];
    float* rows_dx = dx;
    if (options_.is_channel_last) {
      auto* const rows_x = reinterpret_cast<float*>(args.workspace);
      float* const rows_dy = rows_x + elements();
      transpose(x, options_.row, options_.channels, rows_x);
      transpose(dy, options_.row, options_.channels, rows_dy);
      if (dx != nullptr) rows_dx = rows_dy + elements();
      x = rows_x;
      dy = rows_dy;
    }
    parallel_for_rows(args.pool, options_.channels, options_.row, [&](int64_t channel) {
      const int64_t at = channel * options_.row;
      backward_row(args, channel, x + at, dy + at, rows_dx == nullptr ? nullptr : rows_dx + at);
    });
    if (options_.is_channel_last && dx != nullptr) {
      transpose(rows_dx, options_.channels, options_.row, dx);
    }
  }

 private:
  int64_t elements() const { return options_.channels * options_.row; }

  // The moments to normalise by; writes the next running statistics where they are wanted.
  Moments choose_moments(const ForwardArgs& args, const float* row, int64_t channel) const {
    const double running_mean = static_cast<const float*>(args.inputs[3])[channel];
    const double running_variance = static_cast<const float*>(args.inputs[4])[channel];
    Moments moments = {running_mean, running_variance};
    double keep = 1;
    if (options_.uses_batch_statistics) {
      moments = moments_of(row, options_.row);
      keep = static_cast<double>(options_.momentum);
    }
    if (args.outputs.size() > 1 && args.outputs[1] != nullptr) {
      static_cast<float*>(args.outputs[1])[channel] =
          static_cast<float>(keep * running_mean + (1 - keep) * moments.mean);
    }
    if (args.outputs.size() > 2 && args.outputs[2] != nullptr) {
      static_cast<float*>(args.outputs[2])[channel] =
          static_cast<float>(keep * running_variance + (1 - keep) * moments.variance);
    }
    return moments;
  }

  void backward_row(const BackwardArgs& args, int64_t channel, const float* x, const float* dy,
                    float* dx) const {
    const auto* stash = reinterpret_cast<const float*>(args.stash);
    const float mean = stash[channel];
    const double inverse = stash[options_.channels + channel];
    double plain = 0;     // S0
    double weighted = 0;  // S1
    for_sum_chunks(options_.row, [&](int64_t first, int64_t count) {
      float sums[2];
      loops::normalize_sums(x + first, dy + first, mean, sums, count);
      plain += static_cast<double>(sums[0]);
      weighted += static_cast<double>(sums[1]);
    });
    if (float* const dscale = args.grad_inputs[1]) {
      dscale[channel] = static_cast<float>(weighted * inverse);
    }
    if (float* const doffset = args.grad_inputs[2]) doffset[channel] = static_cast<float>(plain);
    if (dx == nullptr) return;
    const double factor =
        static_cast<double>(static_cast<const float*>(args.inputs[1])[channel]) * inverse;
    if (!options_.uses_batch_statistics) {
      loops::scale(dy, static_cast<float>(factor), dx, options_.row);
      return;
    }
    const auto count = static_cast<double>(options_.row);
    const double slope = -factor * inverse * inverse * weighted / count;
    loops::normalize_backward(x, dy, mean, static_cast<float>(factor), static_cast<float>(slope),
                              static_cast<float>(-factor * plain / count), dx, options_.row);
  }

  NormOptions options_;
};

Result<NormOptions> parse_options(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 5, 5));
  const Shape& x = request.inputs[0].type.shape;
  if (x.rank() < 2) return invalid_error("input %s has no channels", to_string(x).c_str());
  NormOptions options;
  options.is_channel_last = x.rank() == 2;
  options.channels = x.dim(options.is_channel_last ? 1 : 0);
  options.row = options.is_channel_last ? x.dim(0) : x.product(1, x.rank());
  if (options.row < 1) return invalid_error("input %s is empty", map_text(x).c_str());
  for (const OpInput& input : request.inputs.subspan(1)) {
    if (!(input.type.shape == Shape{options.channels})) {
      return invalid_error(
          "parameters or statistics of shape %s do not fit the %lld channels of %s",
          to_string(input.type.shape).c_str(), static_cast<long long>(options.channels),
          map_text(x).c_str());
    }
  }
  FT_ASSIGN_OR_RETURN(options.epsilon, request.attributes->get_float("epsilon", 1e-5F));
  FT_ASSIGN_OR_RETURN(options.momentum, request.attributes->get_float("momentum", 0.9F));
  FT_ASSIGN_OR_RETURN(const int64_t training_mode, request.attributes->get_int("training_mode", 0));
  const bool is_training = request.opset >= 14 ? training_mode != 0 : request.output_count > 1;
  options.saves = request.mode == Mode::kTrain;
  options.uses_batch_statistics = is_training && options.saves;
  return options;
}

}  // namespace

Result<KernelPlan> make_batch_normalization(const OpRequest& request) {
  FT_ASSIGN_OR_RETURN(const NormOptions options, parse_options(request));
  const TensorType& x = request.inputs[0].type;
  KernelPlan plan;
  plan.kernel = std::make_unique<BatchNormalization>(options);
  plan.outputs.assign(static_cast<size_t>(request.output_count),
                      {DType::kFloat32, {options.channels}});
  plan.outputs[0] = x;
  plan.saved_inputs = 0b011;
  plan.stash_bytes = options.saves ? 2 * options.channels * 4 : 0;
  plan.recomputes = !options.is_channel_last;
  plan.recompute_inputs = 0b111;  // the running statistics have moved since
  if (options.is_channel_last) {
    plan.forward_workspace_bytes = 2 * x.bytes();
    plan.backward_workspace_bytes = 3 * x.bytes();
  }
  plan.flops = 8.0 * static_cast<double>(x.shape.element_count());
  return plan;
}

}  // namespace ft
