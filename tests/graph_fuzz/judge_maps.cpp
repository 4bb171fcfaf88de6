// Operators on feature maps N, C, spatial axes: convolution, pools, batch norm.

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/graph_fuzz/judge_ops.h"

namespace ft::fuzz {
namespace {

// One spatial axis of a sliding window.
struct Slide {
  int64_t input = 1;
  int64_t output = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_before = 0;
  int64_t pad_after = 0;

  // May lie outside the input.
  int64_t place(int64_t out, int64_t tap) const {
    return out * stride + tap * dilation - pad_before;
  }
};

struct Window {
  Slide y;  // one row when the map has one spatial axis
  Slide x;
};

// A last window that hangs over the end counts with ceil_mode when it begins inside the input or
// the padding before it: PyTorch's rule.
Slide slide_of(const NodeCall& call, const Array& map, const Dims& kernel, size_t axis) {
  const size_t spatial = kernel.size();
  Slide s;
  s.input = map.dims[2 + axis];
  s.kernel = kernel[axis];
  s.stride = ints_of(call, "strides", Dims(spatial, 1))[axis];
  s.dilation = ints_of(call, "dilations", Dims(spatial, 1))[axis];
  s.pad_before = ints_of(call, "pads", Dims(2 * spatial, 0))[axis];
  s.pad_after = ints_of(call, "pads", Dims(2 * spatial, 0))[spatial + axis];
  const int64_t room = s.input + s.pad_before + s.pad_after - s.dilation * (s.kernel - 1) - 1;
  s.output = room / s.stride + 1;
  const bool rounds_up = int_of(call, "ceil_mode", 0) != 0 && room % s.stride != 0;
  if (rounds_up && s.output * s.stride < s.input + s.pad_before) ++s.output;
  return s;
}

Window window_of(const NodeCall& call, const Array& map, const Dims& kernel) {
  if (kernel.size() == 1) return {Slide(), slide_of(call, map, kernel, 0)};
  return {slide_of(call, map, kernel, 0), slide_of(call, map, kernel, 1)};
}

Dims output_dims(const Window& w, const Array& map, int64_t channels) {
  Dims dims = {map.dims[0], channels};
  if (map.dims.size() == 4) dims.push_back(w.y.output);
  dims.push_back(w.x.output);
  return dims;
}

// fn(element of an output plane, element of an input plane, tap) for every place a window sees.
template <typename Function>
void for_taps(const Window& w, const Function& fn) {
  for (int64_t oy = 0; oy < w.y.output; ++oy) {
    for (int64_t ox = 0; ox < w.x.output; ++ox) {
      for (int64_t ky = 0; ky < w.y.kernel; ++ky) {
        for (int64_t kx = 0; kx < w.x.kernel; ++kx) {
          const int64_t iy = w.y.place(oy, ky);
          const int64_t ix = w.x.place(ox, kx);
          if (iy < 0 || iy >= w.y.input || ix < 0 || ix >= w.x.input) continue;
          fn(static_cast<size_t>(oy * w.x.output + ox), static_cast<size_t>(iy * w.x.input + ix),
             static_cast<size_t>(ky * w.x.kernel + kx));
        }
      }
    }
  }
}

int64_t in_plane(const Window& w) { return w.y.input * w.x.input; }
int64_t out_plane(const Window& w) { return w.y.output * w.x.output; }

Window conv_window(const NodeCall& call) {
  const Dims& weight = call.inputs[1]->dims;
  return window_of(call, *call.inputs[0], Dims(weight.begin() + 2, weight.end()));
}

// fn(first element of the output plane, of the input plane, of the weight's plane)
// for every pair of channels that meet.
template <typename Function>
void for_channels(const NodeCall& call, const Window& w, const Function& fn) {
  const Dims& x = call.inputs[0]->dims;
  const Dims& weight = call.inputs[1]->dims;
  const int64_t per_group = weight[0] / int_of(call, "group", 1);
  for (int64_t n = 0; n < x[0]; ++n) {
    for (int64_t o = 0; o < weight[0]; ++o) {
      for (int64_t i = 0; i < weight[1]; ++i) {
        const int64_t channel = o / per_group * weight[1] + i;
        fn(static_cast<size_t>((n * weight[0] + o) * out_plane(w)),
           static_cast<size_t>((n * x[1] + channel) * in_plane(w)),
           static_cast<size_t>((o * weight[1] + i) * w.y.kernel * w.x.kernel));
      }
    }
  }
}

// Output channel of element i of an output.
size_t channel_of(const Array& y, size_t i) {
  const auto plane = static_cast<size_t>(count_of(y.dims) / (y.dims[0] * y.dims[1]));
  return i / plane % static_cast<size_t>(y.dims[1]);
}

void conv_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Window w = conv_window(call);
  Array y = zeros(output_dims(w, *call.inputs[0], call.inputs[1]->dims[0]));
  for_channels(call, w, [&](size_t out, size_t in, size_t weight) {
    for_taps(w, [&](size_t o, size_t i, size_t tap) {
      y.at[out + o] += call.inputs[0]->at[in + i] * call.inputs[1]->at[weight + tap];
    });
  });
  if (const Array* bias = input_of(call, 2)) {
    for (size_t i = 0; i < y.at.size(); ++i) y.at[i] += bias->at[channel_of(y, i)];
  }
  *outputs = {std::move(y)};
}

void conv_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                   const std::vector<Array*>& grad_inputs) {
  const Window w = conv_window(call);
  for_channels(call, w, [&](size_t out, size_t in, size_t weight) {
    for_taps(w, [&](size_t o, size_t i, size_t tap) {
      const double g = grad.at[out + o];
      if (grad_inputs[0] != nullptr) {
        grad_inputs[0]->at[in + i] += g * call.inputs[1]->at[weight + tap];
      }
      if (grad_inputs[1] != nullptr) {
        grad_inputs[1]->at[weight + tap] += g * call.inputs[0]->at[in + i];
      }
    });
  });
  if (grad_inputs.size() < 3 || grad_inputs[2] == nullptr) return;
  for (size_t i = 0; i < grad.at.size(); ++i) {
    grad_inputs[2]->at[channel_of(grad, i)] += grad.at[i];
  }
}

Window pool_window(const NodeCall& call) {
  return window_of(call, *call.inputs[0], ints_of(call, "kernel_shape", {}));
}

int64_t planes_of(const NodeCall& call) {
  return call.inputs[0]->dims[0] * call.inputs[0]->dims[1];
}

// By element of the output, which element of the input is its largest: the first of equals.
std::vector<size_t> winners(const NodeCall& call, const Window& w) {
  const Array& x = *call.inputs[0];
  std::vector<size_t> won;
  for (int64_t plane = 0; plane < planes_of(call); ++plane) {
    const auto in = static_cast<size_t>(plane * in_plane(w));
    std::vector<size_t> best(static_cast<size_t>(out_plane(w)), SIZE_MAX);
    for_taps(w, [&](size_t o, size_t i, size_t) {
      if (best[o] == SIZE_MAX || x.at[in + i] > x.at[best[o]]) best[o] = in + i;
    });
    won.insert(won.end(), best.begin(), best.end());
  }
  return won;
}

void max_pool_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Window w = pool_window(call);
  Array y = zeros(output_dims(w, *call.inputs[0], call.inputs[0]->dims[1]));
  const std::vector<size_t> won = winners(call, w);
  for (size_t i = 0; i < y.at.size(); ++i) y.at[i] = call.inputs[0]->at[won[i]];
  *outputs = {std::move(y)};
}

void max_pool_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                       const std::vector<Array*>& grad_inputs) {
  if (grad_inputs[0] == nullptr) return;
  const std::vector<size_t> won = winners(call, pool_window(call));
  for (size_t i = 0; i < grad.at.size(); ++i) grad_inputs[0]->at[won[i]] += grad.at[i];
}

double max_pool_kink(const NodeCall& call, const std::vector<Array>& outputs) {
  const Window w = pool_window(call);
  const Array& x = *call.inputs[0];
  double nearest = std::numeric_limits<double>::infinity();
  for (int64_t plane = 0; plane < planes_of(call); ++plane) {
    const auto in = static_cast<size_t>(plane * in_plane(w));
    const auto out = static_cast<size_t>(plane * out_plane(w));
    for_taps(w, [&](size_t o, size_t i, size_t) {
      const double distance = outputs[0].at[out + o] - x.at[in + i];
      if (distance > 0) nearest = std::min(nearest, distance);
    });
  }
  return nearest;
}

// By element of an output plane, what its sum is divided by.
std::vector<double> average_counts(const NodeCall& call, const Window& w) {
  std::vector<double> counts(static_cast<size_t>(out_plane(w)), 0.0);
  if (int_of(call, "count_include_pad", 0) == 0) {
    for_taps(w, [&](size_t o, size_t, size_t) { counts[o] += 1; });
    return counts;
  }
  // The padding counts; what ceil_mode adds beyond it does not.
  const auto seen = [](const Slide& s, int64_t out) {
    return std::min(s.place(out, 0) + s.kernel, s.input + s.pad_after) - s.place(out, 0);
  };
  for (int64_t oy = 0; oy < w.y.output; ++oy) {
    for (int64_t ox = 0; ox < w.x.output; ++ox) {
      counts[static_cast<size_t>(oy * w.x.output + ox)] =
          static_cast<double>(seen(w.y, oy) * seen(w.x, ox));
    }
  }
  return counts;
}

void average_pool_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Window w = pool_window(call);
  const std::vector<double> counts = average_counts(call, w);
  Array y = zeros(output_dims(w, *call.inputs[0], call.inputs[0]->dims[1]));
  for (int64_t plane = 0; plane < planes_of(call); ++plane) {
    const auto in = static_cast<size_t>(plane * in_plane(w));
    const auto out = static_cast<size_t>(plane * out_plane(w));
    for_taps(w, [&](size_t o, size_t i, size_t) {
      y.at[out + o] += call.inputs[0]->at[in + i] / counts[o];
    });
  }
  *outputs = {std::move(y)};
}

void average_pool_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                           const std::vector<Array*>& grad_inputs) {
  if (grad_inputs[0] == nullptr) return;
  const Window w = pool_window(call);
  const std::vector<double> counts = average_counts(call, w);
  for (int64_t plane = 0; plane < planes_of(call); ++plane) {
    const auto in = static_cast<size_t>(plane * in_plane(w));
    const auto out = static_cast<size_t>(plane * out_plane(w));
    for_taps(w, [&](size_t o, size_t i, size_t) {
      grad_inputs[0]->at[in + i] += grad.at[out + o] / counts[o];
    });
  }
}

void global_pool_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Array& x = *call.inputs[0];
  Dims dims(x.dims.size(), 1);
  dims[0] = x.dims[0];
  dims[1] = x.dims[1];
  Array y = zeros(dims);
  const size_t plane = x.at.size() / y.at.size();
  for (size_t i = 0; i < x.at.size(); ++i) y.at[i / plane] += x.at[i] / static_cast<double>(plane);
  *outputs = {std::move(y)};
}

void global_pool_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                          const std::vector<Array*>& grad_inputs) {
  if (grad_inputs[0] == nullptr) return;
  const size_t plane = call.inputs[0]->at.size() / grad.at.size();
  for (size_t i = 0; i < grad_inputs[0]->at.size(); ++i) {
    grad_inputs[0]->at[i] += grad.at[i / plane] / static_cast<double>(plane);
  }
}

struct Norm {
  bool uses_batch = false;
  double count = 0;  // values of a channel
  std::vector<double> mean;
  std::vector<double> variance;  // of the population
};

Norm norm_of(const NodeCall& call) {
  const Array& x = *call.inputs[0];
  const auto channels = static_cast<size_t>(x.dims[1]);
  Norm norm;
  const bool trains =
      call.opset >= 14 ? int_of(call, "training_mode", 0) != 0 : call.node->outputs.size() > 1;
  norm.uses_batch = trains && call.moment.trains;
  norm.count = static_cast<double>(x.at.size() / channels);
  norm.mean = call.inputs[3]->at;
  norm.variance = call.inputs[4]->at;
  if (!norm.uses_batch) return norm;
  norm.mean.assign(channels, 0);
  norm.variance.assign(channels, 0);
  for (size_t i = 0; i < x.at.size(); ++i) norm.mean[channel_of(x, i)] += x.at[i] / norm.count;
  for (size_t i = 0; i < x.at.size(); ++i) {
    const double distance = x.at[i] - norm.mean[channel_of(x, i)];
    norm.variance[channel_of(x, i)] += distance * distance / norm.count;
  }
  return norm;
}

double deviation(const NodeCall& call, const Norm& norm, size_t channel) {
  return std::sqrt(norm.variance[channel] + float_of(call, "epsilon", 1e-5));
}

void batch_norm_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Norm norm = norm_of(call);
  Array y = *call.inputs[0];
  for (size_t i = 0; i < y.at.size(); ++i) {
    const size_t c = channel_of(y, i);
    y.at[i] = (y.at[i] - norm.mean[c]) / deviation(call, norm, c) * call.inputs[1]->at[c] +
              call.inputs[2]->at[c];
  }
  *outputs = {std::move(y)};
  const double keep = norm.uses_batch ? float_of(call, "momentum", 0.9F) : 1.0;
  for (size_t k = 1; k < std::max<size_t>(3, call.node->outputs.size()); ++k) {
    Array next = *call.inputs[k % 2 == 1 ? 3 : 4];
    const std::vector<double>& own = k % 2 == 1 ? norm.mean : norm.variance;
    for (size_t c = 0; c < next.at.size(); ++c) {
      next.at[c] = k < 3 ? keep * next.at[c] + (1 - keep) * own[c] : own[c];
    }
    outputs->push_back(std::move(next));
  }
}

void batch_norm_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                         const std::vector<Array*>& grad_inputs) {
  const Norm norm = norm_of(call);
  const Array& x = *call.inputs[0];
  const size_t channels = norm.mean.size();
  std::vector<double> plain(channels, 0);     // sum of dy
  std::vector<double> weighted(channels, 0);  // sum of dy times the normalised x
  const auto normal = [&](size_t i) {
    const size_t c = channel_of(x, i);
    return (x.at[i] - norm.mean[c]) / deviation(call, norm, c);
  };
  for (size_t i = 0; i < x.at.size(); ++i) {
    plain[channel_of(x, i)] += grad.at[i];
    weighted[channel_of(x, i)] += grad.at[i] * normal(i);
  }
  for (size_t c = 0; c < channels; ++c) {
    if (grad_inputs[1] != nullptr) grad_inputs[1]->at[c] += weighted[c];
    if (grad_inputs[2] != nullptr) grad_inputs[2]->at[c] += plain[c];
  }
  if (grad_inputs[0] == nullptr) return;
  for (size_t i = 0; i < x.at.size(); ++i) {
    const size_t c = channel_of(x, i);
    double g = grad.at[i];
    if (norm.uses_batch) g -= (plain[c] + normal(i) * weighted[c]) / norm.count;
    grad_inputs[0]->at[i] += g * call.inputs[1]->at[c] / deviation(call, norm, c);
  }
}

// One sample's channel: its values are next to each other.
struct Plane {
  size_t channel = 0;
  double mean = 0;
  double deviation = 0;
};

Plane plane_at(const NodeCall& call, size_t first, size_t count) {
  const std::vector<double>& x = call.inputs[0]->at;
  Plane plane;
  plane.channel = channel_of(*call.inputs[0], first);
  double variance = 0;
  for (size_t i = first; i < first + count; ++i) plane.mean += x[i] / static_cast<double>(count);
  for (size_t i = first; i < first + count; ++i) {
    variance += (x[i] - plane.mean) * (x[i] - plane.mean) / static_cast<double>(count);
  }
  plane.deviation = std::sqrt(variance + float_of(call, "epsilon", 1e-5));
  return plane;
}

size_t plane_count(const Array& x) {
  return x.at.size() / static_cast<size_t>(x.dims[0] * x.dims[1]);
}

void instance_norm_forward(const NodeCall& call, std::vector<Array>* outputs) {
  Array y = *call.inputs[0];
  const size_t count = plane_count(y);
  for (size_t first = 0; first < y.at.size(); first += count) {
    const Plane plane = plane_at(call, first, count);
    for (size_t i = first; i < first + count; ++i) {
      y.at[i] = (y.at[i] - plane.mean) / plane.deviation * call.inputs[1]->at[plane.channel] +
                call.inputs[2]->at[plane.channel];
    }
  }
  *outputs = {std::move(y)};
}

void instance_norm_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                            const std::vector<Array*>& grad_inputs) {
  const Array& x = *call.inputs[0];
  const size_t count = plane_count(x);
  for (size_t first = 0; first < x.at.size(); first += count) {
    const Plane plane = plane_at(call, first, count);
    const auto normal = [&](size_t i) { return (x.at[i] - plane.mean) / plane.deviation; };
    double plain = 0;
    double weighted = 0;
    for (size_t i = first; i < first + count; ++i) {
      plain += grad.at[i];
      weighted += grad.at[i] * normal(i);
    }
    if (grad_inputs[1] != nullptr) grad_inputs[1]->at[plane.channel] += weighted;
    if (grad_inputs[2] != nullptr) grad_inputs[2]->at[plane.channel] += plain;
    if (grad_inputs[0] == nullptr) continue;
    const double factor = call.inputs[1]->at[plane.channel] / plane.deviation;
    for (size_t i = first; i < first + count; ++i) {
      const double mean = (plain + normal(i) * weighted) / static_cast<double>(count);
      grad_inputs[0]->at[i] += factor * (grad.at[i] - mean);
    }
  }
}

const JudgeOp kOps[] = {
    {"AveragePool", average_pool_forward, average_pool_backward, nullptr},
    {"BatchNormalization", batch_norm_forward, batch_norm_backward, nullptr},
    {"Conv", conv_forward, conv_backward, nullptr},
    {"GlobalAveragePool", global_pool_forward, global_pool_backward, nullptr},
    {"InstanceNormalization", instance_norm_forward, instance_norm_backward, nullptr},
    {"MaxPool", max_pool_forward, max_pool_backward, max_pool_kink},
};

}  // namespace

std::span<const JudgeOp> map_judges() { return kOps; }

}  // namespace ft::fuzz
