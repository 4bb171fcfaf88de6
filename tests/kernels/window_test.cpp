// auto_pad: the pads that ONNX's formulas give, and gradients through them.
// https://onnx.ai/onnx/operators/onnx__Conv.html

#include "kernels/window.h"

#include <doctest/doctest.h>

#include "runtime/base/random.h"
#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

Window parsed(const Attributes& attributes, const Shape& input, const Ints& kernel) {
  const Result<Window> window = parse_window(attributes, input, kernel);
  REQUIRE_MESSAGE(window.ok(), window.status().message());
  return *window;
}

// As the operator's page has it, word for word: output_shape[i] = ceil(input[i] / strides[i]),
// pad_shape[i] = (output_shape[i] - 1) * strides[i] + ((kernel[i] - 1) * dilations[i] + 1) -
// input[i].
int64_t pads_by_formula(int64_t input, int64_t kernel, int64_t stride, int64_t dilation) {
  const int64_t output = input % stride == 0 ? input / stride : input / stride + 1;
  const int64_t pads = (output - 1) * stride + ((kernel - 1) * dilation + 1) - input;
  return pads < 0 ? 0 : pads;
}

OpCase conv(const Shape& x, const Shape& w, const std::string& mode, const Ints& strides,
            const Ints& dilations, int64_t group = 1) {
  OpCase c{.op = "Conv", .inputs = {varied(x), varied(w), varied({w.dim(0)})}};
  c.with("auto_pad", mode).with("strides", strides).with("dilations", dilations);
  return c.with("group", group);
}

OpCase pool(const std::string& op, const Shape& x, const Ints& kernel, const Ints& strides,
            const std::string& mode) {
  OpCase c{.op = op, .inputs = {varied(x, -10, 10)}};
  return c.with("kernel_shape", kernel).with("strides", strides).with("auto_pad", mode);
}

// The same call with the pads written out.
OpCase explicit_pads(OpCase c, const Ints& pads) {
  return c.with("auto_pad", "NOTSET").with("pads", pads);
}

}  // namespace

TEST_CASE("window: SAME pads are those of ONNX's formula, the odd one at the end or the start") {
  for (uint32_t i = 0; i < 2000; ++i) {
    const auto draw = [&](uint32_t stream, int64_t least, int64_t most) {
      const float unit = random_floats(7, 100 * i + stream, 1, 0, 1)[0];
      return least + static_cast<int64_t>(unit * static_cast<float>(most - least + 1));
    };
    const int64_t input = draw(0, 1, 30);
    const int64_t kernel = draw(1, 1, 7);
    const int64_t stride = draw(2, 1, 5);
    const int64_t dilation = draw(3, 1, 3);
    CAPTURE(input);
    CAPTURE(kernel);
    CAPTURE(stride);
    CAPTURE(dilation);
    const int64_t pads = pads_by_formula(input, kernel, stride, dilation);
    for (const bool is_upper : {true, false}) {
      Attributes attributes;
      attributes.set("auto_pad", std::string(is_upper ? "SAME_UPPER" : "SAME_LOWER"));
      attributes.set("strides", Ints{1, stride});
      attributes.set("dilations", Ints{1, dilation});
      const Window w = parsed(attributes, {2, 3, 4, input}, {1, kernel});
      CHECK(w.output_width == (input + stride - 1) / stride);
      CHECK(w.pad_left + w.pad_right == pads);
      CHECK((is_upper ? w.pad_left : w.pad_right) == pads / 2);
      CHECK(w.output_height == 4);
      CHECK_FALSE(w.pad_top + w.pad_bottom > 0);
    }
  }
}

TEST_CASE("window: VALID has no pads, whatever else the node says") {
  Attributes attributes;
  attributes.set("auto_pad", std::string("VALID"));
  attributes.set("pads", Ints{3, 3, 3, 3});
  const Window w = parsed(attributes, {2, 3, 9, 8}, {3, 3});
  CHECK_FALSE(w.has_padding());
  CHECK(w.output_height == 7);
  CHECK(w.output_width == 6);
}

TEST_CASE("window: SAME is the same as its pads written out") {
  const OpCase upper = conv({4, 2, 7, 5}, {6, 4, 3, 4}, "SAME_UPPER", {2, 2}, {1, 1});
  CHECK(OpRunner(upper, {}).forward({}) ==
        OpRunner(explicit_pads(upper, {1, 1, 1, 2}), {}).forward({}));
  const OpCase lower = conv({4, 2, 7, 5}, {6, 4, 3, 4}, "SAME_LOWER", {2, 2}, {1, 1});
  CHECK(OpRunner(lower, {}).forward({}) ==
        OpRunner(explicit_pads(lower, {1, 2, 1, 1}), {}).forward({}));
  for (const char* op : {"MaxPool", "AveragePool"}) {
    for (const int64_t include : {0, 1}) {
      OpCase c = pool(op, {3, 2, 8, 6}, {3, 2}, {2, 1}, "SAME_UPPER");
      if (std::string(op) == "AveragePool") c.with("count_include_pad", include);
      CHECK(OpRunner(c, {}).forward({}) ==
            OpRunner(explicit_pads(c, {0, 0, 1, 1}), {}).forward({}));
    }
  }
}

TEST_CASE("window: gradients through SAME pads of odd amounts") {
  for (const char* mode : {"SAME_UPPER", "SAME_LOWER"}) {
    CAPTURE(mode);
    check_gradient(conv({4, 2, 7, 5}, {6, 4, 3, 4}, mode, {2, 2}, {1, 1}), kLinearGradient);
    check_gradient(conv({4, 2, 9, 10}, {6, 4, 2, 2}, mode, {1, 1}, {1, 1}), kLinearGradient);
    check_gradient(conv({4, 2, 9, 10}, {6, 4, 2, 2}, mode, {1, 1}, {3, 1}), kLinearGradient);
    check_gradient(conv({5, 3, 8, 8}, {5, 1, 4, 4}, mode, {2, 2}, {1, 1}, 5), kLinearGradient);
    check_gradient(conv({4, 2, 8, 7}, {6, 2, 4, 2}, mode, {3, 2}, {1, 1}, 2), kLinearGradient);
    OpCase one{.op = "Conv", .inputs = {varied({4, 3, 11}), varied({5, 4, 4})}};
    check_gradient(one.with("auto_pad", mode), kLinearGradient);
    const GradientOptions kinked = {.step = 1e-3, .tolerance = 4e-3, .probe_elements = 7};
    check_gradient(pool("MaxPool", {3, 2, 8, 7}, {3, 2}, {2, 3}, mode), kinked);
    for (const int64_t include : {0, 1}) {
      OpCase average = pool("AveragePool", {3, 2, 8, 7}, {3, 2}, {2, 3}, mode);
      check_gradient(average.with("count_include_pad", include), kLinearGradient);
    }
  }
}

}  // namespace ft
