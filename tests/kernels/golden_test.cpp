// Operators against PyTorch's results, forward and backward: tests/golden/README.md.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/loss.h"
#include "tests/kernels/op_runner.h"

namespace ft {
namespace {

using nlohmann::json;

// Cases for operators that do not exist here yet. What is neither here nor in the table fails.
const std::set<std::string> kNotHere = {"Elu", "Erf",       "LayerNormalization",
                                        "Pow", "ReduceSum", "Sqrt"};
constexpr float kTolerance = 1e-5F;  // of a tensor's largest element

std::string read_golden(const std::string& name) {
  std::ifstream stream(std::string(FT_SOURCE_DIR) + "/tests/golden/" + name, std::ios::binary);
  REQUIRE(stream);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Shape shape_of(const json& tensor) { return Shape(tensor.at("shape").get<std::vector<int64_t>>()); }

template <typename T>
std::vector<T> values_of(const json& tensor, const std::string& blob) {
  std::vector<T> values(static_cast<size_t>(shape_of(tensor).element_count()));
  const size_t offset = tensor.at("offset").get<size_t>();
  REQUIRE(offset + values.size() * sizeof(T) <= blob.size());
  std::memcpy(values.data(), blob.data() + offset, values.size() * sizeof(T));
  return values;
}

// Axes 0 and 1 exchanged: from N, C, ... to C, N, ... and back.
std::vector<float> swap_axes(const std::vector<float>& values, const Shape& shape) {
  std::vector<float> swapped(values.size());
  const int64_t outer = shape.dim(0);
  const int64_t middle = shape.dim(1);
  const int64_t inner = shape.product(2, shape.rank());
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t j = 0; j < middle; ++j) {
      std::copy_n(values.begin() + (i * middle + j) * inner, inner,
                  swapped.begin() + (j * outer + i) * inner);
    }
  }
  return swapped;
}

Shape swap_axes(const Shape& shape) {
  Shape swapped = shape;
  swapped.set_dim(0, shape.dim(1));
  swapped.set_dim(1, shape.dim(0));
  return swapped;
}

class GoldenCase {
 public:
  GoldenCase(const json& golden, const std::string& blob)
      : golden_(golden), blob_(blob), op_(find_op(golden.at("op").get<std::string>())) {}

  void run() {
    REQUIRE_MESSAGE(op_ != nullptr, golden_.at("op") << " is not in the op table");
    const OpCase op_case = read_case();
    OpRunner runner(op_case, {.threads = 2});
    const Tensors outputs = runner.forward({});
    std::vector<bool> wanted;
    for (const json& gradient : golden_.at("grad_inputs")) wanted.push_back(!gradient.is_null());
    const Tensors gradients =
        runner.backward(physical(golden_.at("grad_outputs")[0], true), wanted);
    for (size_t i = 0; i < outputs.size(); ++i) {
      compare("output", i, outputs[i], physical(golden_.at("outputs")[i], i == 0));
    }
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!wanted[i]) continue;
      compare("gradient", i, gradients[i], physical(golden_.at("grad_inputs")[i], i == 0));
    }
  }

 private:
  bool is_map(const json& tensor, bool is_first) const {
    return is_first && op_->layout == LayoutRule::kFeatureMap && tensor.at("shape").size() >= 3;
  }

  // Values in the order that kernels see (tensor.h).
  std::vector<float> physical(const json& tensor, bool is_first) const {
    const auto values = values_of<float>(tensor, blob_);
    return is_map(tensor, is_first) ? swap_axes(values, shape_of(tensor)) : values;
  }

  OpCase read_case() const {
    OpCase result;
    result.op = golden_.at("op");
    result.opset = golden_.at("opset");
    result.output_count = static_cast<int>(golden_.at("outputs").size());
    for (const auto& [name, value] : golden_.at("attributes").items()) {
      if (value.is_number_integer()) {
        result.with(name, value.get<int64_t>());
      } else if (value.is_number()) {
        result.with(name, value.get<float>());
      } else {
        result.with(name, value.get<std::vector<int64_t>>());
      }
    }
    for (size_t i = 0; i < golden_.at("inputs").size(); ++i) {
      const json& tensor = golden_.at("inputs")[i];
      if (tensor.at("type") == "int64") {
        result.inputs.push_back(constant(values_of<int64_t>(tensor, blob_)));
        continue;
      }
      const Shape shape = is_map(tensor, i == 0) ? swap_axes(shape_of(tensor)) : shape_of(tensor);
      CaseInput input = varied(shape, physical(tensor, i == 0));
      if (golden_.at("grad_inputs")[i].is_null()) {
        input.role = result.op == "BatchNormalization" ? InputRole::kFixed : InputRole::kConstant;
      }
      result.inputs.push_back(std::move(input));
    }
    return result;
  }

  static void compare(const char* what, size_t index, const std::vector<float>& got,
                      const std::vector<float>& expected) {
    REQUIRE(got.size() == expected.size());
    float largest = 0;
    for (const float value : expected) largest = std::max(largest, std::abs(value));
    float difference = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const float d = std::abs(got[i] - expected[i]);
      difference = std::isnan(d) ? INFINITY : std::max(difference, d);
    }
    CHECK_MESSAGE(difference <= kTolerance * std::max(largest, 0.1F),
                  what << " " << index << " differs by " << difference
                       << ", its largest element is " << largest);
  }

  const json& golden_;
  const std::string& blob_;
  const Op* op_;
};

void check_loss(const json& golden, const std::string& blob) {
  const json& logits = golden.at("inputs")[0];
  const Shape shape = shape_of(logits);
  const auto values = values_of<float>(logits, blob);
  const auto labels = values_of<int64_t>(golden.at("inputs")[1], blob);
  const float grad_output = values_of<float>(golden.at("grad_outputs")[0], blob)[0];
  const auto rows = static_cast<float>(shape.dim(0));
  std::vector<float> gradient(values.size());
  ThreadPool pool(2);
  const LossResult result = cross_entropy(values.data(), labels.data(), shape.dim(0), shape.dim(1),
                                          grad_output / rows, gradient.data(), &pool);
  const float expected = values_of<float>(golden.at("outputs")[0], blob)[0];
  CHECK(result.loss_sum / static_cast<double>(rows) == doctest::Approx(expected).epsilon(1e-6));
  const auto expected_gradient = values_of<float>(golden.at("grad_inputs")[0], blob);
  for (size_t i = 0; i < gradient.size(); ++i) {
    CHECK(std::abs(gradient[i] - expected_gradient[i]) < 1e-6F);
  }
}

}  // namespace

TEST_CASE("golden: every operator gives PyTorch's outputs and gradients") {
  const json cases = json::parse(read_golden("ops.json"));
  const std::string blob = read_golden("ops.bin");
  size_t compared = 0;
  for (const json& golden : cases) {
    const std::string op = golden.at("op");
    if (kNotHere.contains(op)) {
      CHECK_MESSAGE(find_op(op) == nullptr, op << " exists by now: strike it out of kNotHere");
      continue;
    }
    const std::string name = golden.at("name");
    CAPTURE(name);
    ++compared;
    if (op == "SoftmaxCrossEntropyLoss") {
      check_loss(golden, blob);
    } else {
      GoldenCase(golden, blob).run();
    }
  }
  CHECK(compared > 60);
}

}  // namespace ft
