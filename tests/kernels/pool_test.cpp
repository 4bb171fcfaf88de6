#include <cmath>
#include <doctest/doctest.h>

#include "tests/kernels/gradient_check.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

OpCase pool(const std::string& op, const Shape& shape, const Ints& kernel, const Ints& strides,
            const Ints& pads, int64_t ceil_mode = 0) {
  OpCase result{.op = op, .inputs = {varied(shape, -10, 10)}};
  result.with("kernel_shape", kernel).with("strides", strides).with("pads", pads);
  return result.with("ceil_mode", ceil_mode);
}

OpCase row(const std::string& op, std::vector<float> values, int64_t kernel, int64_t stride,
           const Ints& pads, int64_t ceil_mode = 0) {
  OpCase result{.op = op, .inputs = {varied({1, 1, static_cast<int64_t>(values.size())}, values)}};
  result.with("kernel_shape", Ints{kernel}).with("strides", Ints{stride}).with("pads", pads);
  return result.with("ceil_mode", ceil_mode);
}

}  // namespace

TEST_CASE("pools: gradients") {
  // A step far below the usual distance of two elements keeps the same winner.
  const GradientOptions kinked = {.step = 1e-3, .tolerance = 4e-3, .probe_elements = 7};
  for (const int64_t ceil_mode : {0, 1}) {
    check_gradient(pool("MaxPool", {5, 2, 7, 9}, {2, 2}, {2, 2}, {0, 0, 0, 0}, ceil_mode), kinked);
    check_gradient(pool("MaxPool", {3, 2, 9, 8}, {3, 3}, {2, 2}, {1, 1, 1, 1}, ceil_mode), kinked);
    check_gradient(pool("MaxPool", {3, 2, 8, 7}, {3, 2}, {1, 3}, {2, 0, 1, 1}, ceil_mode), kinked);
    for (const int64_t include : {0, 1}) {
      for (OpCase c :
           {pool("AveragePool", {5, 2, 7, 9}, {2, 2}, {2, 2}, {0, 0, 0, 0}, ceil_mode),
            pool("AveragePool", {3, 2, 9, 8}, {3, 3}, {2, 2}, {1, 1, 1, 1}, ceil_mode),
            pool("AveragePool", {3, 2, 8, 7}, {3, 2}, {1, 3}, {2, 0, 1, 1}, ceil_mode)}) {
        check_gradient(c.with("count_include_pad", include), kLinearGradient);
      }
    }
  }
  check_gradient({.op = "GlobalAveragePool", .inputs = {varied({17, 3, 7, 9})}}, kLinearGradient);
  check_gradient({.op = "GlobalAveragePool", .inputs = {varied({5, 3, 1, 1})}}, kLinearGradient);
}

TEST_CASE("max pool: known values; the first of equals wins; NaN is seen") {
  OpRunner equal(row("MaxPool", {1, 3, 3, 2, 2}, 3, 2, {0, 0}), {});
  CHECK(equal.forward({})[0] == std::vector<float>{3, 3});
  CHECK(equal.backward({1, 10}, {true})[0] == std::vector<float>{0, 1, 10, 0, 0});

  OpRunner padded(row("MaxPool", {-5, -1, -2}, 3, 2, {1, 1}), {});
  CHECK(padded.forward({})[0] == std::vector<float>{-1, -1});  // padding is never the largest

  OpRunner nan(row("MaxPool", {1, NAN, 2, 3}, 2, 2, {0, 0}), {});
  CHECK(std::isnan(nan.forward({})[0][0]));
  CHECK(nan.backward({1, 1}, {true})[0] == std::vector<float>{0, 1, 0, 1});

  const float infinity = -std::numeric_limits<float>::infinity();
  OpRunner lowest(row("MaxPool", {infinity, infinity}, 2, 2, {0, 0}), {});
  CHECK(lowest.forward({})[0][0] == infinity);
  CHECK(lowest.backward({1}, {true})[0] == std::vector<float>{1, 0});
}

TEST_CASE("pools: ceil_mode adds a window that starts inside, none that starts in the padding") {
  OpRunner added(row("MaxPool", {1, 2, 3, 4}, 3, 2, {0, 0}, 1), {});
  CHECK(added.forward({})[0] == std::vector<float>{3, 4});
  OpRunner none(row("MaxPool", {1, 2, 3, 4}, 2, 3, {1, 1}, 1), {});
  CHECK(none.forward({})[0] == std::vector<float>{1, 4});
  // A third window would start at column 5, in the padding on the right.
  OpRunner dropped(row("MaxPool", {1, 2, 3, 4, 5}, 2, 3, {1, 1}, 1), {});
  CHECK(dropped.forward({})[0] == std::vector<float>{1, 4});
}

TEST_CASE("average pool: what counts") {
  const std::vector<float> x = {2, 4, 6, 8};
  CHECK(OpRunner(row("AveragePool", x, 3, 2, {1, 1}), {}).forward({})[0] ==
        std::vector<float>{3, 6});
  CHECK(OpRunner(row("AveragePool", x, 3, 2, {1, 1}).with("count_include_pad", int64_t{1}), {})
            .forward({})[0] == std::vector<float>{2, 6});
  // The last window reaches 2 beyond the input, 1 beyond the padding: 8 and one 0 count.
  CHECK(OpRunner(row("AveragePool", x, 3, 3, {0, 1}, 1).with("count_include_pad", int64_t{1}), {})
            .forward({})[0] == std::vector<float>{4, 4});
  OpCase standing = {.op = "AveragePool", .inputs = {varied({1, 1, 4, 1}, x)}};
  standing.with("kernel_shape", Ints{3, 1}).with("strides", Ints{3, 1});
  standing.with("pads", Ints{0, 0, 1, 0}).with("ceil_mode", int64_t{1});
  standing.with("count_include_pad", int64_t{1});
  CHECK(OpRunner(standing, {}).forward({})[0] == std::vector<float>{4, 4});
  CHECK(OpRunner(row("AveragePool", x, 3, 3, {0, 1}, 1), {}).forward({})[0] ==
        std::vector<float>{4, 8});
}

TEST_CASE("pools: what does not fit is refused") {
  const auto message = [](const OpCase& c) { return make_plan(c).status().message(); };
  const Shape shape = {3, 2, 8, 8};
  OpCase dilated = pool("MaxPool", shape, {2, 2}, {2, 2}, {0, 0, 0, 0});
  CHECK(make_plan(dilated).ok());
  CHECK(message(dilated.with("dilations", Ints{2, 1})).find("dilated") != std::string::npos);
  CHECK(message(pool("MaxPool", shape, {2, 2}, {2, 2}, {2, 0, 0, 0})).starts_with("padding"));
  OpCase indices = pool("MaxPool", shape, {2, 2}, {2, 2}, {0, 0, 0, 0});
  indices.output_count = 2;
  CHECK(message(indices).find("Indices") != std::string::npos);
  CHECK_FALSE(make_plan({.op = "MaxPool", .inputs = {varied(shape)}}).ok());
  CHECK_FALSE(make_plan({.op = "GlobalAveragePool", .inputs = {varied({3, 2})}}).ok());
}

}  // namespace ft
