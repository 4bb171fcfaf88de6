#include <cmath>
#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

struct ConvCase {
  int64_t channels_in = 1, images = 1, height = 1, width = 1;
  int64_t channels_out = 1, groups = 1, kernel_height = 1, kernel_width = 1;
  std::vector<int64_t> strides = {1, 1};
  std::vector<int64_t> pads = {0, 0, 0, 0};
  std::vector<int64_t> dilations = {1, 1};
  bool bias = false;
};

OpCase op_case(const ConvCase& c) {
  OpCase result{.op = "Conv",
                .inputs = {varied({c.channels_in, c.images, c.height, c.width}),
                           varied({c.channels_out, c.channels_in / c.groups, c.kernel_height,
                                   c.kernel_width})}};
  if (c.bias) result.inputs.push_back(varied({c.channels_out}));
  result.with("group", c.groups)
      .with("strides", c.strides)
      .with("pads", c.pads)
      .with("dilations", c.dilations)
      .with("kernel_shape", std::vector<int64_t>{c.kernel_height, c.kernel_width});
  return result;
}

// One output, from the definition.
double naive_output(const ConvCase& c, const Tensors& inputs, int64_t channel, int64_t image,
                    int64_t oy, int64_t ox) {
  const int64_t group_in = c.channels_in / c.groups;
  const int64_t group = channel / (c.channels_out / c.groups);
  double sum = c.bias ? inputs[2][static_cast<size_t>(channel)] : 0;
  for (int64_t i = 0; i < group_in; ++i) {
    for (int64_t ky = 0; ky < c.kernel_height; ++ky) {
      for (int64_t kx = 0; kx < c.kernel_width; ++kx) {
        const int64_t y = oy * c.strides[0] + ky * c.dilations[0] - c.pads[0];
        const int64_t x = ox * c.strides[1] + kx * c.dilations[1] - c.pads[1];
        if (y < 0 || y >= c.height || x < 0 || x >= c.width) continue;
        const int64_t from =
            (((group * group_in + i) * c.images + image) * c.height + y) * c.width + x;
        const int64_t weight =
            ((channel * group_in + i) * c.kernel_height + ky) * c.kernel_width + kx;
        sum += static_cast<double>(inputs[0][static_cast<size_t>(from)]) *
               static_cast<double>(inputs[1][static_cast<size_t>(weight)]);
      }
    }
  }
  return sum;
}

// Forward against the definition, backward against finite differences.
void check_path(const ConvCase& c, bool with_gradient) {
  const OpCase one = op_case(c);
  OpRunner runner(one, {.threads = 2});
  const std::vector<float> got = runner.forward({})[0];
  const Shape& shape = runner.plan().outputs[0].shape;
  CAPTURE(to_string(shape));
  CHECK(shape.dim(2) == (c.height + c.pads[0] + c.pads[2] - (c.kernel_height - 1) * c.dilations[0] -
                         1) / c.strides[0] +
                            1);
  size_t at = 0;
  size_t wrong = 0;
  for (int64_t channel = 0; channel < shape.dim(0); ++channel) {
    for (int64_t image = 0; image < shape.dim(1); ++image) {
      for (int64_t oy = 0; oy < shape.dim(2); ++oy) {
        for (int64_t ox = 0; ox < shape.dim(3); ++ox) {
          const double expected = naive_output(c, runner.inputs(), channel, image, oy, ox);
          wrong += !(std::abs(got[at++] - expected) < 1e-5 * (1 + std::abs(expected)) * 4);
        }
      }
    }
  }
  CHECK(wrong == 0);
  if (with_gradient) check_gradient(one, kLinearGradient);
}

// Small convolutions of one group go over grids; of several, through im2col.
void check_conv(const ConvCase& c, bool with_gradient = true) {
  check_path(c, with_gradient);
  if (c.groups != 1 || c.kernel_height * c.kernel_width == 1) return;
  ConvCase twice = c;
  twice.channels_in *= 2;
  twice.channels_out *= 2;
  twice.groups = 2;
  check_path(twice, with_gradient);
}

}  // namespace

TEST_CASE("conv: 1x1, all images in one product") {
  check_conv({.channels_in = 9, .images = 3, .height = 7, .width = 5, .channels_out = 17});
  check_conv({.channels_in = 9,
              .images = 3,
              .height = 7,
              .width = 5,
              .channels_out = 6,
              .groups = 3,
              .bias = true});
  // Panels, and chunks of positions in dW.
  check_conv({.channels_in = 24, .images = 11, .height = 16, .width = 16, .channels_out = 15},
             false);
  check_gradient(
      op_case({.channels_in = 5, .images = 11, .height = 16, .width = 16, .channels_out = 7}),
      {.step = 0.25, .tolerance = 1e-3});
}

TEST_CASE("conv: k x k, odd sizes, strides, uneven padding, dilation, bias") {
  check_conv({.channels_in = 3,
              .images = 2,
              .height = 7,
              .width = 9,
              .channels_out = 12,
              .kernel_height = 3,
              .kernel_width = 3,
              .pads = {1, 1, 1, 1}});
  check_conv({.channels_in = 5,
              .images = 3,
              .height = 9,
              .width = 7,
              .channels_out = 7,
              .kernel_height = 3,
              .kernel_width = 3,
              .strides = {2, 2},
              .pads = {1, 1, 1, 1},
              .bias = true});
  check_conv({.channels_in = 2,
              .images = 3,
              .height = 8,
              .width = 9,
              .channels_out = 3,
              .kernel_height = 3,
              .kernel_width = 2,
              .strides = {1, 3},
              .pads = {2, 0, 1, 3},
              .dilations = {2, 1}});
  check_conv({.channels_in = 4,
              .images = 2,
              .height = 6,
              .width = 5,
              .channels_out = 8,
              .kernel_height = 1,
              .kernel_width = 1,
              .strides = {2, 2}});
  check_conv({.channels_in = 3,
              .images = 1,
              .height = 12,
              .width = 12,
              .channels_out = 4,
              .kernel_height = 7,
              .kernel_width = 7,
              .strides = {2, 2},
              .pads = {3, 3, 3, 3}});
  // Padding wider than the image: whole windows of zeros.
  check_conv({.channels_in = 2,
              .images = 2,
              .height = 2,
              .width = 1,
              .channels_out = 2,
              .kernel_height = 3,
              .kernel_width = 3,
              .pads = {4, 4, 4, 4}});
}

TEST_CASE("conv: over grids, several blocks of images, the last one shorter") {
  for (const std::vector<int64_t>& strides : {std::vector<int64_t>{1, 1}, {2, 1}, {3, 2}}) {
    check_conv({.channels_in = 3,
                .images = 21,
                .height = 9,
                .width = 7,
                .channels_out = 8,
                .kernel_height = 2,
                .kernel_width = 3,
                .strides = strides,
                .pads = {1, 0, 0, 2},
                .dilations = {1, 2},
                .bias = true});
  }
}

TEST_CASE("conv: over grids, several blocks to a task") {
  const ConvCase c = {.channels_in = 3,
                      .images = 11,
                      .height = 60,
                      .width = 55,
                      .channels_out = 8,
                      .kernel_height = 3,
                      .kernel_width = 3};
  check_conv(c, false);
  check_gradient(op_case(c), {.step = 0.25, .tolerance = 1e-3});
}

TEST_CASE("conv: the image wider than a tile, the channels deeper than a block") {
  check_conv({.channels_in = 3,
              .images = 3,
              .height = 40,
              .width = 41,
              .channels_out = 5,
              .kernel_height = 3,
              .kernel_width = 3,
              .pads = {1, 1, 1, 1}},
             false);
  check_gradient(op_case({.channels_in = 3,
                          .images = 3,
                          .height = 40,
                          .width = 41,
                          .channels_out = 5,
                          .kernel_height = 3,
                          .kernel_width = 3,
                          .pads = {1, 1, 1, 1}}),
                 {.step = 0.25, .tolerance = 1e-3});
  check_conv({.channels_in = 65,
              .images = 5,
              .height = 8,
              .width = 8,
              .channels_out = 131,
              .kernel_height = 3,
              .kernel_width = 3,
              .pads = {1, 1, 1, 1}},
             false);
  check_gradient(op_case({.channels_in = 65,
                          .images = 5,
                          .height = 8,
                          .width = 8,
                          .channels_out = 131,
                          .kernel_height = 3,
                          .kernel_width = 3,
                          .pads = {1, 1, 1, 1}}),
                 {.step = 0.25, .tolerance = 2e-3});
}

TEST_CASE("conv: groups, and a depthwise convolution with a multiplier") {
  check_conv({.channels_in = 6,
              .images = 2,
              .height = 7,
              .width = 9,
              .channels_out = 9,
              .groups = 3,
              .kernel_height = 3,
              .kernel_width = 3,
              .strides = {2, 1},
              .pads = {1, 1, 1, 1},
              .bias = true});
  check_conv({.channels_in = 5,
              .images = 2,
              .height = 5,
              .width = 6,
              .channels_out = 10,
              .groups = 5,
              .kernel_height = 3,
              .kernel_width = 3,
              .pads = {1, 1, 1, 1}});
}

TEST_CASE("conv: depthwise on small planes (masks)") {
  for (const int64_t stride : {1, 2}) {
    for (const int64_t kernel : {3, 5}) {
      const int64_t pad = kernel / 2;
      for (const auto [height, width] :
           {std::array<int64_t, 2>{8, 8}, {4, 4}, {2, 2}, {1, 1}, {7, 9}, {3, 5}, {1, 6}}) {
        CAPTURE(stride);
        CAPTURE(kernel);
        CAPTURE(height);
        CAPTURE(width);
        // 33 images: full groups of masks and a last one that is not; 17 channels: two to a task.
        check_conv({.channels_in = 17,
                    .images = 33,
                    .height = height,
                    .width = width,
                    .channels_out = 17,
                    .groups = 17,
                    .kernel_height = kernel,
                    .kernel_width = kernel,
                    .strides = {stride, stride},
                    .pads = {pad, pad, pad, pad},
                    .bias = height == 7});
      }
    }
  }
}

TEST_CASE("conv: depthwise on large planes (margins)") {
  for (const int64_t stride : {1, 2}) {
    for (const int64_t kernel : {3, 5}) {
      const int64_t pad = kernel / 2;
      CAPTURE(stride);
      CAPTURE(kernel);
      check_conv({.channels_in = 3,
                  .images = 2,
                  .height = 31,
                  .width = 29,
                  .channels_out = 3,
                  .groups = 3,
                  .kernel_height = kernel,
                  .kernel_width = kernel,
                  .strides = {stride, stride},
                  .pads = {pad, pad, pad, pad},
                  .bias = true});
      // A few images of a plane whose masks would be long, and blocks of several images.
      check_conv({.channels_in = 2,
                  .images = 23,
                  .height = 17,
                  .width = 19,
                  .channels_out = 2,
                  .groups = 2,
                  .kernel_height = kernel,
                  .kernel_width = kernel,
                  .strides = {stride, stride},
                  .pads = {pad, pad, pad, pad}});
    }
  }
  // One image is larger than a block.
  check_conv({.channels_in = 2,
              .images = 2,
              .height = 90,
              .width = 95,
              .channels_out = 2,
              .groups = 2,
              .kernel_height = 3,
              .kernel_width = 3,
              .pads = {1, 1, 1, 1}},
             false);
}

TEST_CASE("conv: depthwise, strange windows") {
  for (const int64_t images : {1, 19}) {
    CAPTURE(images);
    const auto check = [&](ConvCase c) {
      c.channels_in = c.channels_out = c.groups = 3;
      c.images = images;
      check_conv(c);
    };
    check({.height = 7, .width = 9, .kernel_height = 3, .kernel_width = 3});  // no padding
    check({.height = 7,
           .width = 9,
           .kernel_height = 2,
           .kernel_width = 4,
           .strides = {3, 2},
           .pads = {0, 1, 2, 3},
           .dilations = {2, 1}});
    check({.height = 6, .width = 6, .kernel_height = 1, .kernel_width = 1, .strides = {2, 3}});
    check({.height = 9, .width = 8, .kernel_height = 2, .kernel_width = 2, .strides = {4, 4}});
    check({.height = 2, .width = 3, .kernel_height = 3, .kernel_width = 3, .pads = {3, 3, 3, 3}});
    check({.height = 21,
           .width = 3,
           .kernel_height = 7,
           .kernel_width = 1,
           .strides = {2, 1},
           .pads = {3, 0, 3, 0}});
  }
}

TEST_CASE("conv: taps that only meet padding") {
  for (const int64_t groups : {1, 2, 4}) {
    for (const int64_t images : {1, 19}) {
      CAPTURE(groups);
      CAPTURE(images);
      const auto check = [&](ConvCase c) {
        c.channels_in = 4;
        c.channels_out = groups == 4 ? 4 : 6;
        c.groups = groups;
        c.images = images;
        c.bias = images > 1;
        check_conv(c);
      };
      const auto square = [](int64_t side, int64_t kernel, int64_t stride, int64_t pad) {
        return ConvCase{.height = side,
                        .width = side,
                        .kernel_height = kernel,
                        .kernel_width = kernel,
                        .strides = {stride, stride},
                        .pads = {pad, pad, pad, pad}};
      };
      check(square(1, 3, 1, 1));
      check(square(1, 3, 2, 1));
      check(square(2, 3, 2, 1));
      check(square(2, 5, 1, 2));
      check(square(3, 7, 3, 3));
      check(square(1, 5, 1, 3));  // outputs that see nothing but padding
      check({.height = 1,
             .width = 6,
             .kernel_height = 3,
             .kernel_width = 3,
             .strides = {1, 2},
             .pads = {1, 1, 1, 1}});
      check({.height = 2,
             .width = 3,
             .kernel_height = 3,
             .kernel_width = 3,
             .pads = {2, 2, 2, 2},
             .dilations = {2, 2}});
    }
  }
}

TEST_CASE("conv: one dimension") {
  OpCase one{.op = "Conv", .inputs = {varied({4, 3, 11}), varied({5, 4, 3}), varied({5})}};
  one.with("pads", std::vector<int64_t>{1, 0}).with("strides", std::vector<int64_t>{2});
  OpRunner runner(one, {});
  CHECK(runner.plan().outputs[0].shape == Shape{5, 3, 5});
  check_gradient(one, kLinearGradient);
}

TEST_CASE("conv: what does not fit is refused with its cause") {
  const auto message = [](OpCase c) { return make_plan(c).status().message(); };
  const auto case_of = [](const Shape& x, const Shape& w) {
    return OpCase{.op = "Conv", .inputs = {varied(x), varied(w)}};
  };
  const OpCase fine = case_of({4, 2, 7, 7}, {6, 4, 3, 3});
  REQUIRE(make_plan(fine).ok());
  CHECK(message(OpCase(fine).with("auto_pad", "SAME")) ==
        "auto_pad=SAME does not exist; it is NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  // Shapes are the file's: N, C, H, W.
  CHECK(message(case_of({4, 2, 7, 7, 7}, {6, 4, 3, 3, 3})) ==
        "input 2x4x7x7x7 with a kernel of 3 dimensions; windows of 1 and 2 dimensions are "
        "supported");
  CHECK(message(OpCase(fine).with("group", int64_t{3})) ==
        "group 3 does not divide 4 input and 6 output channels");
  CHECK(message(OpCase(fine).with("group", int64_t{0})).starts_with("group 0"));
  CHECK(message(OpCase(fine).with("kernel_shape", std::vector<int64_t>{3, 2}))
            .starts_with("kernel_shape"));
  CHECK(message(OpCase(fine).with("pads", std::vector<int64_t>{1, 1})).starts_with("pads has 2"));
  CHECK(message(OpCase(fine).with("pads", std::vector<int64_t>{0, 0, 0, -1}))
            .starts_with("pads holds -1"));
  CHECK(message(OpCase(fine).with("strides", std::vector<int64_t>{0, 1}))
            .starts_with("strides holds 0"));
  CHECK(message(OpCase(fine).with("strides", int64_t{1})) ==
        "attribute 'strides' is not a list of integers");
  CHECK(message(case_of({4, 2, 7, 7}, {6, 5, 3, 3})) ==
        "the weight 6x5x3x3 asks for 5 channels per group, the input has 4");
  CHECK_FALSE(make_plan(case_of({4, 0, 7, 7}, {6, 4, 3, 3})).ok());
  CHECK_FALSE(make_plan(case_of({4, 2, 2, 2}, {6, 4, 3, 3})).ok());
  CHECK_FALSE(make_plan(case_of({4, 2, 7, 7, 7}, {6, 4, 3, 3, 3})).ok());
  CHECK_FALSE(make_plan(case_of({4, 2}, {6, 4})).ok());
  OpCase bias = fine;
  bias.inputs.push_back(varied({5}));
  CHECK(message(bias) == "the bias 5 does not fit 6 output channels");
}

}  // namespace ft
