// Operators on feature maps.

#include <algorithm>
#include <cmath>

#include "tests/graph_fuzz/generators.h"

namespace ft::fuzz {
namespace {

// Batch norm over fewer values than this is too sharp for float32 to be compared.
constexpr int64_t kNormValuesMin = 6;

// Attributes of a window over `map` and how many places it has, 0 when it does not fit.
struct Window {
  Dims kernel;
  Dims strides;
  Dims pads;
  Dims dilations;
  int64_t places = 1;
};

Window draw_window(Sketch& sketch, const Dims& map, bool is_conv) {
  Dice& dice = sketch.dice();
  const size_t spatial = map.size() - 2;
  Window w;
  Dims after;
  const bool is_plain = dice.chance(30);
  const int64_t extent = dice.between(1, 3);
  for (size_t axis = 0; axis < spatial; ++axis) {
    const int64_t kernel = is_plain ? extent : dice.between(1, 3);
    const int64_t dilation = is_conv && !is_plain && dice.chance(20) ? 2 : 1;
    const int64_t stride = is_plain ? 1 : dice.of<int64_t>({1, 1, 2, 3});
    const int64_t most = is_conv ? kernel : kernel - 1;
    const int64_t before = is_plain ? kernel / 2 : dice.between(0, most);
    const int64_t behind = is_plain || dice.chance(60) ? before : dice.between(0, most);
    w.kernel.push_back(kernel);
    w.strides.push_back(stride);
    w.dilations.push_back(dilation);
    w.pads.push_back(before);
    after.push_back(behind);
    const int64_t room = map[2 + axis] + before + behind - dilation * (kernel - 1) - 1;
    w.places *= room < 0 ? 0 : room / stride + 2;
  }
  w.pads.insert(w.pads.end(), after.begin(), after.end());
  return w;
}

TestAttributes attributes_of(Sketch& sketch, const Window& w, bool is_conv) {
  TestAttributes attributes = {{"kernel_shape", w.kernel}};
  const auto is_all = [](const Dims& list, int64_t value) {
    return std::all_of(list.begin(), list.end(), [=](int64_t x) { return x == value; });
  };
  const bool says_all = sketch.dice().chance(50);
  if (says_all || !is_all(w.strides, 1)) attributes["strides"] = w.strides;
  if (says_all || !is_all(w.pads, 0)) attributes["pads"] = w.pads;
  if (is_conv && (says_all || !is_all(w.dilations, 1))) attributes["dilations"] = w.dilations;
  return attributes;
}

bool conv(Sketch& sketch) {
  Dice& dice = sketch.dice();
  const std::string map = sketch.pick_map();
  const Dims dims = sketch.dims(map);
  const Window w = draw_window(sketch, dims, true);
  int64_t groups = dice.chance(60) ? 1 : dice.chance(50) ? dims[1] : dice.between(1, dims[1]);
  while (dims[1] % groups != 0) --groups;
  int64_t channels = dice.of<int64_t>({1, 2, 3, 4, 4, 6});
  if (dice.chance(25)) channels = dims[1];
  channels = (channels + groups - 1) / groups * groups;
  if (w.places == 0 || dims[0] * channels * w.places > kFuzzElementsMax) return false;
  Dims weight = {channels, dims[1] / groups};
  weight.insert(weight.end(), w.kernel.begin(), w.kernel.end());
  const auto bound = static_cast<float>(
      std::sqrt(3.0 * static_cast<double>(channels) / static_cast<double>(count_of(weight))));
  std::vector<std::string> inputs = {map, sketch.weight(weight, -bound, bound)};
  if (dice.chance(60)) inputs.push_back(sketch.weight({channels}, -0.5F, 0.5F));
  TestAttributes attributes = attributes_of(sketch, w, true);
  if (groups > 1 || dice.chance(30)) attributes["group"] = groups;
  if (dice.chance(20)) attributes.erase("kernel_shape");
  sketch.grow("Conv", inputs, attributes);
  return true;
}

bool pool(Sketch& sketch, const std::string& op) {
  const std::string map = sketch.pick_map();
  const Dims dims = sketch.dims(map);
  const Window w = draw_window(sketch, dims, false);
  if (w.places == 0 || dims[0] * dims[1] * w.places > kFuzzElementsMax) return false;
  TestAttributes attributes = attributes_of(sketch, w, false);
  if (sketch.dice().chance(30)) attributes["ceil_mode"] = int64_t{1};
  if (op == "AveragePool" && sketch.dice().chance(50)) {
    attributes["count_include_pad"] = sketch.dice().below(2);
  }
  sketch.grow(op, {map}, attributes);
  return true;
}

bool max_pool(Sketch& sketch) { return pool(sketch, "MaxPool"); }
bool average_pool(Sketch& sketch) { return pool(sketch, "AveragePool"); }

bool global_pool(Sketch& sketch) {
  sketch.grow("GlobalAveragePool", {sketch.pick_map()});
  return true;
}

bool batch_norm(Sketch& sketch) {
  Dice& dice = sketch.dice();
  const std::string x = sketch.pick(2, 4);
  if (x.empty()) return false;
  const bool trains = dice.chance(75);
  const Dims channels = {sketch.dims(x)[1]};
  if (trains && sketch.count(x) / channels[0] < kNormValuesMin) return false;
  const std::string scale = sketch.weight(channels, 0.5F, 1.5F);
  std::vector<std::string> inputs = {x, scale, sketch.weight(channels, -0.5F, 0.5F)};
  if (dice.chance(5)) inputs[2] = scale;  // one tensor for both
  inputs.push_back(sketch.statistic(channels, -0.3F, 0.3F));
  inputs.push_back(sketch.statistic(channels, 0.5F, 2));
  TestAttributes attributes;
  if (dice.chance(50)) attributes["epsilon"] = dice.uniform(1e-5F, 1e-3F);
  if (dice.chance(50)) attributes["momentum"] = dice.uniform(0.5F, 0.95F);
  size_t outputs = 1;
  if (sketch.graph().opset < 14) {
    outputs = trains ? 5 : 1;
  } else if (trains) {
    attributes["training_mode"] = int64_t{1};
    outputs = dice.chance(80) ? 3 : 1;
  }
  sketch.grow("BatchNormalization", inputs, attributes, outputs);
  return true;
}

bool instance_norm(Sketch& sketch) {
  const std::string x = sketch.pick(3, 4);
  if (x.empty()) return false;
  const Dims channels = {sketch.dims(x)[1]};
  if (sketch.count(x) / (channels[0] * sketch.dims(x)[0]) < kNormValuesMin) return false;
  const std::string scale = sketch.weight(channels, 0.5F, 1.5F);
  TestAttributes attributes;
  if (sketch.dice().chance(50)) attributes["epsilon"] = sketch.dice().uniform(1e-5F, 1e-3F);
  sketch.grow("InstanceNormalization", {x, scale, sketch.weight(channels, -0.5F, 0.5F)},
              attributes);
  return true;
}

const Generator kGenerators[] = {
    {"AveragePool", average_pool},
    {"BatchNormalization", batch_norm},
    {"Conv", conv},
    {"GlobalAveragePool", global_pool},
    {"InstanceNormalization", instance_norm},
    {"MaxPool", max_pool},
};

}  // namespace

std::span<const Generator> map_generators() { return kGenerators; }

}  // namespace ft::fuzz
