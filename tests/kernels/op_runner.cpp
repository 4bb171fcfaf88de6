#include "tests/kernels/op_runner.h"

#include <cstring>
#include <doctest/doctest.h>
#include <limits>

#include "runtime/base/buffer.h"

namespace ft {
namespace {

constexpr size_t kCanaryBytes = 64;
constexpr std::byte kCanary{0xA5};

// Never null, as an importer's constant never is.
const void* constant_bytes(const CaseInput& input) {
  static constexpr int64_t kNothing = 0;
  if (input.type.shape.element_count() == 0) return &kNothing;
  return input.type.dtype == DType::kFloat32 ? static_cast<const void*>(input.floats.data())
                                             : static_cast<const void*>(input.ints.data());
}

std::vector<OpInput> op_inputs_of(const OpCase& op_case) {
  std::vector<OpInput> inputs;
  for (const CaseInput& given : op_case.inputs) {
    OpInput input{given.type, given.role != InputRole::kAbsent, nullptr};
    if (given.role == InputRole::kConstant) input.constant = constant_bytes(given);
    inputs.push_back(input);
  }
  return inputs;
}

}  // namespace

// Bytes full of NaN, with a canary behind them.
class OpRunner::Array {
 public:
  explicit Array(int64_t bytes) : buffer_(static_cast<size_t>(bytes) + kCanaryBytes) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (size_t i = 0; i + sizeof nan <= size(); i += sizeof nan) {
      std::memcpy(buffer_.data() + i, &nan, sizeof nan);
    }
    std::memset(buffer_.data() + size(), static_cast<int>(kCanary), kCanaryBytes);
  }
  explicit Array(const std::vector<float>& values)
      : Array(static_cast<int64_t>(values.size() * sizeof(float))) {
    if (!values.empty()) std::memcpy(buffer_.data(), values.data(), size());
  }
  ~Array() {
    for (size_t i = 0; i < kCanaryBytes; ++i) {
      if (buffer_.data()[size() + i] != kCanary) {
        FAIL_CHECK("written beyond the end of an array of " << size() << " bytes");
        break;
      }
    }
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  size_t size() const { return buffer_.size() - kCanaryBytes; }
  std::byte* data() { return buffer_.data(); }
  float* floats() { return buffer_.floats(); }
  std::vector<float> values() const {
    const float* first = buffer_.floats();
    return {first, first + size() / sizeof(float)};
  }
  void check_unchanged(const std::vector<float>& values) const {
    const bool same = size() == 0 || std::memcmp(buffer_.data(), values.data(), size()) == 0;
    CHECK_MESSAGE(same, "a kernel wrote to memory that it may only read");
  }

 private:
  Buffer buffer_;
};

Result<KernelPlan> make_plan(const OpCase& op_case, Mode mode) {
  const Op* op = find_op(op_case.op);
  REQUIRE_MESSAGE(op != nullptr, op_case.op << " is not in the op table");
  const std::vector<OpInput> inputs = op_inputs_of(op_case);
  OpRequest request;
  request.attributes = &op_case.attributes;
  request.inputs = inputs;
  request.output_count = op_case.output_count;
  request.opset = op_case.opset;
  request.mode = mode;
  request.node = op_case.node;
  return op->make(request);
}

OpRunner::OpRunner(const OpCase& op_case, const RunOptions& options)
    : case_(op_case), options_(options), pool_(options.threads) {
  Result<KernelPlan> plan = make_plan(case_, options.mode);
  REQUIRE_MESSAGE(plan.ok(), plan.status().message());
  plan_ = std::move(*plan);
  REQUIRE(plan_.outputs.size() == static_cast<size_t>(case_.output_count));
  for (size_t i = 0; i < case_.inputs.size(); ++i) {
    const CaseInput& input = case_.inputs[i];
    const bool is_random = input.role != InputRole::kAbsent && input.floats.empty() &&
                           input.type.dtype == DType::kFloat32;
    inputs_.push_back(is_random
                          ? random_floats(case_.seed, static_cast<uint32_t>(i),
                                          input.type.shape.element_count(), input.low, input.high)
                          : input.floats);
  }
}

OpRunner::~OpRunner() = default;

bool OpRunner::can_forward_in_place() const {
  return plan_.in_place && plan_.outputs[0].bytes() == case_.inputs[0].type.bytes();
}

bool OpRunner::can_backward_in_place() const {
  return can_forward_in_place() && case_.inputs[0].role == InputRole::kVaried;
}

Tensors OpRunner::forward(const Tensors& replaced) {
  input_arrays_.clear();
  output_arrays_.clear();
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (size_t i = 0; i < case_.inputs.size(); ++i) {
    const CaseInput& input = case_.inputs[i];
    const bool is_replaced = i < replaced.size() && !replaced[i].empty();
    input_arrays_.push_back(std::make_unique<Array>(is_replaced ? replaced[i] : inputs_[i]));
    const bool is_int = input.type.dtype == DType::kInt64;
    inputs.push_back(input.role == InputRole::kAbsent ? nullptr
                     : is_int                         ? static_cast<const void*>(input.ints.data())
                                                      : input_arrays_.back()->data());
  }
  for (const TensorType& type : plan_.outputs) {
    output_arrays_.push_back(std::make_unique<Array>(type.bytes()));
    outputs.push_back(output_arrays_.back()->data());
  }
  const Tensors before = [&] {
    Tensors values;
    for (const ArrayPtr& array : input_arrays_) values.push_back(array->values());
    return values;
  }();
  const bool is_shared = plan_.is_view || (options_.in_place && can_forward_in_place());
  if (is_shared) {
    REQUIRE(plan_.outputs[0].bytes() == case_.inputs[0].type.bytes());
    output_arrays_[0] = std::make_unique<Array>(before[0]);
    outputs[0] = output_arrays_[0]->data();
    inputs[0] = outputs[0];
  }
  stash_ = std::make_unique<Array>(plan_.stash_bytes);
  Array workspace(plan_.forward_workspace_bytes);
  if (!plan_.is_view) {
    plan_.kernel->forward({inputs, outputs, stash_->data(), workspace.data(), &pool_, case_.step});
  }
  Tensors results;
  for (const ArrayPtr& array : output_arrays_) results.push_back(array->values());
  for (size_t i = 0; i < before.size(); ++i) input_arrays_[i]->check_unchanged(before[i]);
  return results;
}

Tensors OpRunner::backward(const std::vector<float>& grad_output, const std::vector<bool>& wanted) {
  REQUIRE(!output_arrays_.empty());
  if (plan_.is_view) return {grad_output};
  std::vector<const void*> inputs;
  std::vector<const void*> outputs;
  for (size_t i = 0; i < input_arrays_.size(); ++i) {
    const bool is_saved =
        (plan_.saved_inputs >> i & 1U) != 0 && case_.inputs[i].role != InputRole::kAbsent;
    inputs.push_back(is_saved ? input_arrays_[i]->data() : nullptr);
  }
  for (size_t i = 0; i < output_arrays_.size(); ++i) {
    const bool is_saved = (plan_.saved_outputs >> i & 1U) != 0;
    outputs.push_back(is_saved ? output_arrays_[i]->data() : nullptr);
  }
  auto grad_array = std::make_unique<Array>(grad_output);
  std::vector<const float*> grad_outputs(output_arrays_.size(), nullptr);
  grad_outputs[0] = grad_array->floats();
  std::vector<ArrayPtr> grad_arrays(case_.inputs.size());
  std::vector<float*> grad_inputs(case_.inputs.size(), nullptr);
  for (size_t i = 0; i < grad_inputs.size(); ++i) {
    if (!wanted[i]) continue;
    grad_arrays[i] = std::make_unique<Array>(case_.inputs[i].type.bytes());
    grad_inputs[i] = grad_arrays[i]->floats();
  }
  const bool is_shared = options_.in_place && can_backward_in_place() && wanted[0];
  if (is_shared) {
    grad_arrays[0] = std::move(grad_array);
    grad_inputs[0] = grad_arrays[0]->floats();
  }
  Array workspace(plan_.backward_workspace_bytes);
  plan_.kernel->backward({inputs, outputs, grad_outputs, grad_inputs, stash_->data(),
                          workspace.data(), &pool_, case_.step});
  if (!is_shared) grad_array->check_unchanged(grad_output);
  Tensors results;
  for (const ArrayPtr& array : grad_arrays) {
    results.push_back(array == nullptr ? std::vector<float>{} : array->values());
  }
  return results;
}

}  // namespace ft
