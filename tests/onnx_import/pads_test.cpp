// A Pad before a window: absorbed where that is the same, refused where it is not.

#include "onnx_import/pads.h"

#include <cmath>
#include <doctest/doctest.h>
#include <limits>

#include "onnx_import/import.h"
#include "tests/onnx_import/model_runner.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

constexpr int64_t kBatch = 2;

// x {batch, 3, 6, 5} -> Mul by a parameter -> "s".
OnnxWriter start() {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 6, 5}).weight("factor", {1}).node("Mul", {"x", "factor"}, {"s"});
  return writer.weight("w", {4, 3, 3, 2});
}

// Pads rows by 1 and 2, columns by 0 and 1, with `fill`.
OnnxWriter padded(OnnxWriter writer, const std::string& input, float fill) {
  writer.constant("amounts", {8}, Ints{0, 0, 1, 0, 0, 0, 2, 1});
  writer.constant("fill", {}, std::vector<float>{fill});
  return writer.node("Pad", {input, "amounts", "fill"}, {"p"});
}

// The factor on the samples counts as a parameter, so that there is one.
ImportOptions with_factor() {
  ImportOptions options;
  options.batch = kBatch;
  options.roles.train = {"factor"};
  return options;
}

std::vector<float> output_of(const OnnxWriter& writer) {
  const Result<Model> model = import_model(writer.bytes(), with_factor());
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  CHECK(count_ops(*model, "Pad") == 0);
  std::vector<float> input(static_cast<size_t>(kBatch * 3 * 6 * 5));
  for (size_t i = 0; i < input.size(); ++i) input[i] = std::sin(static_cast<float>(i * i));
  return run_model(*model, input, Mode::kInfer);
}

bool is_taken(const OnnxWriter& writer) { return import_model(writer.bytes(), with_factor()).ok(); }

}  // namespace

TEST_CASE("pads: zeros before Conv are added to its own, those of VALID not counted") {
  const TestAttributes own = {{"pads", Ints{1, 0, 0, 2}}, {"strides", Ints{2, 2}}};
  OnnxWriter pad = padded(start(), "s", 0);
  pad.node("Conv", {"p", "w"}, {"y"}, own).output("y");
  OnnxWriter sum = start();
  sum.node("Conv", {"s", "w"}, {"y"}, {{"pads", Ints{2, 0, 2, 3}}, {"strides", Ints{2, 2}}});
  CHECK(output_of(pad) == output_of(sum.output("y")));
  OnnxWriter valid = padded(start(), "s", 0);
  valid.node("Conv", {"p", "w"}, {"y"}, {{"auto_pad", std::string("VALID")}}).output("y");
  OnnxWriter plain = start();
  plain.node("Conv", {"s", "w"}, {"y"}, {{"pads", Ints{1, 0, 2, 1}}});
  CHECK(output_of(valid) == output_of(plain.output("y")));
}

TEST_CASE("pads: minus infinity, or zeros behind a Relu, before MaxPool") {
  const TestAttributes pool = {{"kernel_shape", Ints{3, 2}}};
  TestAttributes with_pads = pool;
  with_pads["pads"] = Ints{1, 0, 2, 1};
  OnnxWriter lowest = padded(start(), "s", -std::numeric_limits<float>::infinity());
  lowest.node("MaxPool", {"p"}, {"y"}, pool).output("y");
  OnnxWriter plain = start();
  plain.node("MaxPool", {"s"}, {"y"}, with_pads).output("y");
  CHECK(output_of(lowest) == output_of(plain));
  OnnxWriter relu = start();
  relu = padded(relu.node("Relu", {"s"}, {"r"}), "r", 0);
  relu.node("MaxPool", {"p"}, {"y"}, pool).output("y");
  OnnxWriter plain_relu = start();
  plain_relu.node("Relu", {"s"}, {"r"}).node("MaxPool", {"r"}, {"y"}, with_pads).output("y");
  CHECK(output_of(relu) == output_of(plain_relu));
}

TEST_CASE("pads: what is not the same is refused") {
  const TestAttributes pool = {{"kernel_shape", Ints{3, 2}}};
  // Zeros are larger than negative elements.
  CHECK_FALSE(is_taken(padded(start(), "s", 0).node("MaxPool", {"p"}, {"y"}, pool).output("y")));
  CHECK_FALSE(is_taken(padded(start(), "s", 1).node("Conv", {"p", "w"}, {"y"}).output("y")));
  CHECK_FALSE(
      is_taken(padded(start(), "s", 0)
                   .node("Conv", {"p", "w"}, {"y"}, {{"auto_pad", std::string("SAME_UPPER")}})
                   .output("y")));
  OnnxWriter channels = start();
  channels.constant("amounts", {8}, Ints{0, 0, 0, 0, 0, 1, 0, 0}).weight("v", {4, 4, 1, 1});
  channels.node("Pad", {"s", "amounts"}, {"p"}).node("Conv", {"p", "v"}, {"y"}).output("y");
  CHECK_FALSE(is_taken(channels));
}

}  // namespace ft
