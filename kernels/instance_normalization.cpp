// InstanceNormalization over the M positions of each channel of each image:
//   mean = sum x / M, var = sum (x - mean)^2 / M        (the population variance)
//   y = (x - mean) * scale * r + B                      r = 1 / sqrt(var + epsilon)
// Backward, with S0 = sum dy and S1 = sum dy * (x - mean) of a channel of an image:
//   dB = sum of S0 over images, dscale = sum of S1 * r over images, in the images' order
//   dx = scale * r * (dy - S0 / M - (x - mean) * r^2 * S1 / M)
// https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html
//
// Training and inference are the same: there are no running statistics.

#include <cmath>

#include "kernels/moments.h"
#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/request.h"

namespace ft {
namespace {

struct NormShape {
  int64_t channels = 0;
  int64_t images = 0;
  int64_t plane = 0;  // M

  int64_t planes() const { return channels * images; }
};

// The stash holds mean and r of every plane.
class InstanceNormalization : public Kernel {
 public:
  InstanceNormalization(const NormShape& shape, float epsilon, bool saves)
      : shape_(shape), epsilon_(epsilon), saves_(saves) {}

  void forward(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* scale = static_cast<const float*>(args.inputs[1]);
    const auto* offset = static_cast<const float*>(args.inputs[2]);
    auto* y = static_cast<float*>(args.outputs[0]);
    auto* const stash = reinterpret_cast<float*>(args.stash);
    parallel_for_rows(args.pool, shape_.planes(), shape_.plane, [&](int64_t plane) {
      const int64_t at = plane * shape_.plane;
      const int64_t channel = plane / shape_.images;
      const Moments moments = moments_of(x + at, shape_.plane);
      const auto mean = static_cast<float>(moments.mean);
      const auto inverse =
          static_cast<float>(1.0 / std::sqrt(moments.variance + static_cast<double>(epsilon_)));
      if (saves_) {
        stash[plane] = mean;
        stash[shape_.planes() + plane] = inverse;
      }
      loops::normalize(x + at, mean, scale[channel] * inverse, offset[channel], y + at,
                       shape_.plane);
    });
  }

  // From the moments in the stash.
  void recompute(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* scale = static_cast<const float*>(args.inputs[1]);
    const auto* offset = static_cast<const float*>(args.inputs[2]);
    auto* y = static_cast<float*>(args.outputs[0]);
    const auto* mean = reinterpret_cast<const float*>(args.stash);
    const float* inverse = mean + shape_.planes();
    parallel_for_rows(args.pool, shape_.planes(), shape_.plane, [&](int64_t plane) {
      const int64_t at = plane * shape_.plane;
      const int64_t channel = plane / shape_.images;
      loops::normalize(x + at, mean[plane], scale[channel] * inverse[plane], offset[channel],
                       y + at, shape_.plane);
    });
  }

  // A task has whole channels, whose images' sums are added in order.
  void backward(const BackwardArgs& args) const override {
    const int64_t row = shape_.images * shape_.plane;
    parallel_for_rows(args.pool, shape_.channels, row, [&](int64_t channel) {
      double offset_sum = 0;
      double scale_sum = 0;
      for (int64_t image = 0; image < shape_.images; ++image) {
        const Sums sums = backward_plane(args, channel, channel * shape_.images + image);
        offset_sum += sums.plain;
        scale_sum += sums.weighted;
      }
      if (float* const dscale = args.grad_inputs[1]) {
        dscale[channel] = static_cast<float>(scale_sum);
      }
      if (float* const doffset = args.grad_inputs[2]) {
        doffset[channel] = static_cast<float>(offset_sum);
      }
    });
  }

 private:
  struct Sums {
    double plain;     // S0
    double weighted;  // S1 * r
  };

  Sums backward_plane(const BackwardArgs& args, int64_t channel, int64_t plane) const {
    const int64_t at = plane * shape_.plane;
    const float* x = static_cast<const float*>(args.inputs[0]) + at;
    const float* dy = args.grad_outputs[0] + at;
    const auto* stash = reinterpret_cast<const float*>(args.stash);
    const float mean = stash[plane];
    const double inverse = stash[shape_.planes() + plane];
    double plain = 0;
    double weighted = 0;
    for_sum_chunks(shape_.plane, [&](int64_t first, int64_t count) {
      float sums[2];
      loops::normalize_sums(x + first, dy + first, mean, sums, count);
      plain += static_cast<double>(sums[0]);
      weighted += static_cast<double>(sums[1]);
    });
    if (args.grad_inputs[0] != nullptr) {
      const double factor =
          static_cast<double>(static_cast<const float*>(args.inputs[1])[channel]) * inverse;
      const auto count = static_cast<double>(shape_.plane);
      const double slope = -factor * inverse * inverse * weighted / count;
      loops::normalize_backward(x, dy, mean, static_cast<float>(factor), static_cast<float>(slope),
                                static_cast<float>(-factor * plain / count),
                                args.grad_inputs[0] + at, shape_.plane);
    }
    return {plain, weighted * inverse};
  }

  const NormShape shape_;
  const float epsilon_;
  const bool saves_;
};

Result<NormShape> parse_shape(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 3, 3));
  const Shape& x = request.inputs[0].type.shape;
  if (x.rank() < 3) {
    return invalid_error("input %s has no positions to normalise over", to_string(x).c_str());
  }
  const NormShape shape = {x.dim(0), x.dim(1), x.product(2, x.rank())};
  if (shape.plane < 1) return invalid_error("input %s is empty", map_text(x).c_str());
  for (const OpInput& input : request.inputs.subspan(1)) {
    if (!(input.type.shape == Shape{shape.channels})) {
      return invalid_error("parameters of shape %s do not fit the %lld channels of %s",
                           to_string(input.type.shape).c_str(),
                           static_cast<long long>(shape.channels), map_text(x).c_str());
    }
  }
  return shape;
}

}  // namespace

Result<KernelPlan> make_instance_normalization(const OpRequest& request) {
  FT_ASSIGN_OR_RETURN(const NormShape shape, parse_shape(request));
  FT_ASSIGN_OR_RETURN(const float epsilon, request.attributes->get_float("epsilon", 1e-5F));
  const bool saves = request.mode == Mode::kTrain;
  KernelPlan plan;
  plan.kernel = std::make_unique<InstanceNormalization>(shape, epsilon, saves);
  plan.outputs = {request.inputs[0].type};
  plan.saved_inputs = 0b011;
  plan.stash_bytes = saves ? 2 * shape.planes() * 4 : 0;
  plan.recomputes = true;
  plan.flops = 8.0 * static_cast<double>(plan.outputs[0].shape.element_count());
  return plan;
}

}  // namespace ft
