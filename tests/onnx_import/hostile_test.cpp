// Damaged and hostile files: an error or a model, never a crash. The same test runs under the
// address and undefined-behaviour sanitizers (preset asan).

#include <cstdlib>
#include <doctest/doctest.h>

#include "onnx_import/import.h"
#include "onnx_import/onnx_file.h"
#include "runtime/base/random.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {
namespace {

std::vector<std::byte> small_model() {
  OnnxWriter writer;
  writer.input("x", {-1, 2, 4, 4}).weight("w", {3, 2, 3, 3}).weight("v", {3, 5});
  for (const char* name : {"scale", "bias", "mean", "var"}) writer.weight(name, {3});
  writer.node("Conv", {"x", "w"}, {"c"}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  writer.node("BatchNormalization", {"c", "scale", "bias", "mean", "var"}, {"n", "m", "s"},
              {{"training_mode", int64_t{1}}, {"epsilon", 1e-5F}});
  writer.constant("low", {}, std::vector<float>{0}).constant("high", {}, std::vector<float>{6});
  writer.node("Clip", {"n", "low", "high"}, {"r"}).node("GlobalAveragePool", {"r"}, {"g"});
  writer.node("Shape", {"g"}, {"shape"}).constant("zero", {1}, std::vector<int64_t>{0});
  writer.node("Gather", {"shape", "zero"}, {"rows"});
  writer.constant("rest", {1}, std::vector<int64_t>{-1});
  writer.node("Concat", {"rows", "rest"}, {"target"}, {{"axis", int64_t{0}}});
  writer.node("Reshape", {"g", "target"}, {"f"}).node("Gemm", {"f", "v"}, {"y"}).output("y");
  return writer.bytes();
}

std::string error_of(const WireMessage& initializer) {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).initializer(initializer).node("Gemm", {"x", "w"}, {"y"}).output("y");
  const Result<Model> model = import_model(writer.bytes(), {2});
  return model.ok() ? "" : model.status().message();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("hostile: a model cut off at every length is an error") {
  const std::vector<std::byte> file = small_model();
  const Result<Model> whole = import_model(file, {2});
  REQUIRE_MESSAGE(whole.ok(), whole.status().message());
  for (size_t length = 0; length < file.size(); ++length) {
    const Result<Model> model = import_model(std::span(file).first(length), {2});
    // The opset is the last field, so that nothing shorter is a model.
    CHECK_MESSAGE(!model.ok(), length);
  }
}

TEST_CASE("hostile: random damage never crashes the importer") {
  const std::vector<std::byte> file = small_model();
  const char* text = std::getenv("FT_SEED");
  const uint64_t seed = text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  CAPTURE(seed);
  int imported = 0;
  for (uint64_t round = 0; round < 4000; ++round) {
    std::vector<std::byte> damaged = file;
    const auto numbers = random_block({seed, RandomPurpose::kSynthetic, 0}, round, 0);
    const uint32_t flips = 1 + numbers[0] % 4;
    for (uint32_t flip = 0; flip < flips; ++flip) {
      const auto where = random_block({seed, RandomPurpose::kSynthetic, 1}, round, flip);
      std::byte& target = damaged[where[0] % damaged.size()];
      target = where[1] % 2 == 0 ? target ^ static_cast<std::byte>(1 << where[2] % 8)
                                 : static_cast<std::byte>(where[2] & 0xff);
    }
    imported += import_model(damaged, {2}).ok();
  }
  // Damage to weights and names goes unnoticed; damage to the structure does not.
  CHECK(imported > 0);
  CHECK(imported < 4000);
}

TEST_CASE("hostile: tensors whose sizes lie are refused before memory is taken") {
  const std::string floats(36 * 4, '\0');
  const auto tensor = [&](const std::vector<int64_t>& dims, int type = 1) {
    WireMessage message;
    for (const int64_t dim : dims) message.integer(1, dim);
    return message.integer(2, type).bytes(8, "w").bytes(9, floats);
  };
  CHECK(error_of(tensor({6, 6})).empty());
  CHECK(contains(error_of(tensor({6, 7})), "holds 144 bytes instead of 168"));
  const bool addressable = kElementsMax >= int64_t{1} << 32;
  CHECK(contains(error_of(tensor({1 << 16, 1 << 16})),
                 addressable ? "instead of 17179869184" : "impossible dimensions"));
  CHECK(contains(error_of(tensor({int64_t{1} << 40, int64_t{1} << 40})), "impossible dimensions"));
  CHECK(contains(error_of(tensor({-6, -6})), "impossible dimensions"));
  CHECK(contains(error_of(tensor({1, 1, 1, 1, 1, 1, 1, 6, 6})), "9 dimensions"));
  CHECK(contains(error_of(tensor({6, 6}, 10)), "ONNX data type 10"));
  CHECK(contains(error_of(tensor({6, 6}).integer(14, 1)), "outside the file"));
}

TEST_CASE("hostile: a name that would control the terminal is refused") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("w", {6, 6}).node("Gemm", {"x", "w"}, {"\x1b[2Jy"});
  const Result<Model> model = import_model(writer.output("\x1b[2Jy").bytes(), {2});
  REQUIRE(!model.ok());
  CHECK(contains(model.status().message(), "control characters"));
}

TEST_CASE("hostile: a subgraph is refused, however deep") {
  std::string inner;
  for (int depth = 0; depth < 200; ++depth) {
    const WireMessage attribute = WireMessage().bytes(1, "body").bytes(6, inner).integer(20, 5);
    const WireMessage node = WireMessage().bytes(2, "y").bytes(4, "If").message(5, attribute);
    inner = WireMessage().message(1, node).data();
    const WireMessage output = WireMessage().message(12, WireMessage().bytes(1, "y"));
    const WireMessage opset = WireMessage().integer(2, 14);
    const WireMessage model = WireMessage().bytes(7, inner + output.data()).message(8, opset);
    const std::string& data = model.data();
    const auto* bytes = reinterpret_cast<const std::byte*>(data.data());
    CHECK_FALSE(import_model({bytes, data.size()}, {2}).ok());
  }
}

TEST_CASE("hostile: a graph whose output is an initializer or its input is no model") {
  OnnxWriter weight;
  weight.input("x", {-1, 6}).weight("w", {6, 6}).output("w");
  CHECK_FALSE(import_model(weight.bytes(), {2}).ok());
  OnnxWriter input;
  input.input("x", {-1, 6}).weight("w", {6, 6}).output("x");
  CHECK_FALSE(import_model(input.bytes(), {2}).ok());
}

}  // namespace ft
