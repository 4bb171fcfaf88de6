// What `ftrun inspect` says.

#include "onnx_import/report.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/onnx_import/onnx_writer.h"

namespace ft {

TEST_CASE("report: totals are the sums of the layers, and the JSON says the same") {
  const Result<Model> model = import_model(read_golden("mobilenetv2_train_op14.onnx"), {4});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  const ModelReport report = make_report(*model);
  CHECK(report.opset == 14);
  CHECK(report.parameter_count == 42826);
  REQUIRE(report.layers.size() == 54);
  REQUIRE(report.cuts.size() == 53);
  double flops = 0;
  for (const LayerReport& layer : report.layers) flops += layer.flops;
  CHECK(flops == report.flops);
  CHECK(flops > 0);
  const auto json = nlohmann::json::parse(render_json(report, "m.onnx"));
  CHECK(json["model"] == "m.onnx");
  CHECK(json["parameters"] == 42826);
  CHECK(json["layers"].size() == 54);
  CHECK(json["cuts"][0]["before_layer"] == 1);
  CHECK(json["cuts"][0]["forward_bytes"] == report.cuts[0].forward_bytes);
  CHECK(json["unsupported"].empty());
  const std::string text = render_text(report, "m.onnx");
  CHECK(text.find("54 layers, 42826 parameters") != std::string::npos);
}

TEST_CASE("report: a cut's bytes are those of the values that cross it") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("v", {6, 7}).weight("w", {7, 5});
  writer.node("Gemm", {"x", "v"}, {"h"}).node("Relu", {"h"}, {"r"});
  writer.node("Gemm", {"r", "w"}, {"y"}).output("y");
  const Result<Model> model = import_model(writer.bytes(), {3});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  const ModelReport report = make_report(*model);
  REQUIRE(report.cuts.size() == 1);
  CHECK(report.cuts[0].forward_bytes == 3 * 7 * 4);
  CHECK(report.cuts[0].gradient_bytes == 3 * 7 * 4);
  CHECK(report.cuts[0].values == std::vector<std::string>{"r"});
  CHECK(report.layers[0].flops >= 2.0 * 3 * 6 * 7);
}

TEST_CASE("report: unsupported nodes are listed instead of layers") {
  ModelReport report;
  report.unsupported.push_back({"n", "Foo", "not supported"});
  CHECK(render_text(report, "m.onnx").find("n (Foo): not supported") != std::string::npos);
  CHECK(nlohmann::json::parse(render_json(report, "m"))["unsupported"][0]["op"] == "Foo");
}

}  // namespace ft
