// Every operator of the table on one thread, forward and backward, at sizes of MobileNetV2's middle
// layers with a batch of 64: op/NAME/forward and op/NAME/backward; apart, too, where the gradients
// of input 0 and of the others are (splits_backward). Operators that are views do nothing and are
// left out. Ends at once if an operator has no case here.

#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kernels/op.h"
#include "runtime/base/buffer.h"
#include "tests/kernels/op_case.h"

namespace ft {
namespace {

const Shape kMap = {96, 64, 16, 16};  // C, N, H, W
const Shape kRows = {64, 1000};

OpCase conv(const char* name, const Shape& x, const Shape& weights, int64_t group, int64_t stride,
            int64_t pad) {
  OpCase op_case = {.op = "Conv", .inputs = {varied(x), varied(weights)}};
  op_case.with("group", group).with("strides", std::vector<int64_t>{stride, stride});
  op_case.with("pads", std::vector<int64_t>(4, pad)).with("ftrun.title", std::string(name));
  return op_case;
}

OpCase unary(const char* op, const Shape& shape = kMap) {
  return {.op = op, .inputs = {varied(shape)}};
}

OpCase binary(const char* op) { return {.op = op, .inputs = {varied(kMap), varied(kMap, 1, 2)}}; }

OpCase pool(const char* op) {
  return unary(op)
      .with("kernel_shape", std::vector<int64_t>{2, 2})
      .with("strides", std::vector<int64_t>{2, 2});
}

std::vector<OpCase> make_cases() {
  const int64_t channels = kMap.dim(0);
  const Shape per_channel = {channels};
  const std::vector<float> ones(static_cast<size_t>(channels), 1.0F);
  OpCase norm = {.op = "BatchNormalization",
                 .inputs = {varied(kMap), varied(per_channel), varied(per_channel),
                            fixed(per_channel, ones), fixed(per_channel, ones)},
                 .output_count = 3};
  norm.with("training_mode", int64_t{1});
  const OpCase instance_norm = {.op = "InstanceNormalization",
                                .inputs = {varied(kMap), varied(per_channel), varied(per_channel)}};
  return {
      instance_norm,
      conv("1x1", kMap, {96, 96, 1, 1}, 1, 1, 0),
      conv("3x3", {64, 64, 16, 16}, {64, 64, 3, 3}, 1, 1, 1),
      conv("3x3 of 64", {64, 64, 8, 8}, {64, 64, 3, 3}, 1, 1, 1),
      conv("3x3 of 128", {128, 64, 4, 4}, {128, 128, 3, 3}, 1, 1, 1),
      conv("3x3 of 32", {32, 32, 15, 15}, {128, 32, 3, 3}, 1, 1, 1),
      conv("7x7 of 3 stride 2", {3, 64, 32, 32}, {64, 3, 7, 7}, 1, 2, 3),
      conv("3x3 stride 2", {64, 64, 16, 16}, {128, 64, 3, 3}, 1, 2, 1),
      conv("3x3 of 3", {3, 64, 32, 32}, {32, 3, 3, 3}, 1, 1, 1),
      conv("3x3 of 3 stride 2", {3, 32, 64, 64}, {64, 3, 3, 3}, 1, 2, 0),
      conv("3x3 of 16", {16, 32, 15, 15}, {64, 16, 3, 3}, 1, 1, 1),
      conv("3x3 of 48", {48, 32, 7, 7}, {192, 48, 3, 3}, 1, 1, 1),
      conv("3x3 of 512", {512, 64, 4, 4}, {512, 512, 3, 3}, 1, 1, 1),
      conv("5x5 of 1", {1, 64, 28, 28}, {6, 1, 5, 5}, 1, 1, 2),
      conv("5x5 of 6", {6, 64, 14, 14}, {16, 6, 5, 5}, 1, 1, 0),
      conv("depthwise 3x3", kMap, {96, 1, 3, 3}, 96, 1, 1),
      conv("depthwise 3x3 stride 2", kMap, {96, 1, 3, 3}, 96, 2, 1),
      conv("depthwise 5x5", kMap, {96, 1, 5, 5}, 96, 1, 2),
      norm,
      binary("Add"),
      binary("Sub"),
      binary("Mul"),
      binary("Div"),
      pool("AveragePool"),
      pool("MaxPool"),
      unary("MaxPool", {64, 32, 31, 31})
          .with("kernel_shape", std::vector<int64_t>{3, 3})
          .with("strides", std::vector<int64_t>{2, 2})
          .with("ftrun.title", std::string("3x3 stride 2")),
      unary("GlobalAveragePool"),
      {.op = "Clip", .inputs = {varied(kMap), constant_scalar(0), constant_scalar(6)}},
      OpCase{.op = "Concat", .inputs = {varied(kMap), varied(kMap)}}.with("axis", int64_t{0}),
      {.op = "Dropout", .inputs = {varied(kMap), constant_scalar(0.5F), constant_flag(true)}},
      {.op = "Gemm", .inputs = {varied({64, 1280}), varied({1280, 1000}), varied({1000})}},
      {.op = "MatMul", .inputs = {varied({64, 1280}), varied({1280, 1000})}},
      unary("HardSigmoid"),
      unary("HardSwish"),
      unary("LeakyRelu"),
      unary("Relu"),
      unary("Sigmoid"),
      unary("Tanh"),
      unary("Softmax", kRows),
      unary("LogSoftmax", kRows),
      unary("ReduceMean").with("axes", std::vector<int64_t>{2, 3}),
      unary("Transpose").with("perm", std::vector<int64_t>{1, 0, 2, 3}),
  };
}

// An operator with all that a call needs, as the executor holds it.
class BoundOp {
 public:
  explicit BoundOp(const OpCase& op_case) : case_(op_case), pool_(1) {
    std::vector<OpInput> inputs;
    for (const CaseInput& input : case_.inputs) {
      const bool is_constant = input.role == InputRole::kConstant;
      const void* bytes = input.floats.empty() ? static_cast<const void*>(input.ints.data())
                                               : static_cast<const void*>(input.floats.data());
      inputs.push_back({input.type, true, is_constant ? bytes : nullptr});
    }
    OpRequest request;
    request.attributes = &case_.attributes;
    request.inputs = inputs;
    request.output_count = case_.output_count;
    Result<KernelPlan> plan = find_op(case_.op)->make(request);
    if (!plan.ok()) {
      std::fprintf(stderr, "%s: %s\n", case_.op.c_str(), plan.status().message().c_str());
      std::exit(2);
    }
    plan_ = std::move(*plan);
    for (size_t i = 0; i < case_.inputs.size(); ++i) {
      const CaseInput& input = case_.inputs[i];
      inputs_.push_back(
          input.role == InputRole::kConstant
              ? inputs[i].constant
              : hold(random_floats(1, static_cast<uint32_t>(i), input.type.shape.element_count(),
                                   input.low, input.high)));
      grad_inputs_.push_back(
          input.role == InputRole::kVaried ? allocate(input.type.bytes())->floats() : nullptr);
    }
    for (const TensorType& type : plan_.outputs) {
      outputs_.push_back(allocate(type.bytes())->data());
      grad_outputs_.push_back(nullptr);
    }
    grad_outputs_[0] = static_cast<const float*>(
        hold(random_floats(1, 9, plan_.outputs[0].shape.element_count(), -1, 1)));
    stash_ = allocate(plan_.stash_bytes)->data();
    workspace_ =
        allocate(std::max(plan_.forward_workspace_bytes, plan_.backward_workspace_bytes))->data();
  }

  const KernelPlan& plan() const { return plan_; }
  void forward() { plan_.kernel->forward({inputs_, outputs_, stash_, workspace_, &pool_, {}}); }
  enum class Part : uint8_t { kAll, kInput, kOthers };
  void backward(Part part = Part::kAll) {
    std::vector<float*> grad_inputs = grad_inputs_;
    if (part == Part::kInput) std::fill(grad_inputs.begin() + 1, grad_inputs.end(), nullptr);
    if (part == Part::kOthers) grad_inputs[0] = nullptr;
    // More inputs and outputs than are saved do no harm.
    const std::vector<const void*> outputs(outputs_.begin(), outputs_.end());
    plan_.kernel->backward(
        {inputs_, outputs, grad_outputs_, grad_inputs, stash_, workspace_, &pool_, {}});
  }

 private:
  BufferPtr allocate(int64_t bytes) {
    buffers_.push_back(make_buffer(static_cast<size_t>(bytes)));
    return buffers_.back();
  }
  const void* hold(const std::vector<float>& values) {
    const BufferPtr buffer = allocate(static_cast<int64_t>(values.size() * sizeof(float)));
    std::copy(values.begin(), values.end(), buffer->floats());
    return buffer->data();
  }

  OpCase case_;
  ThreadPool pool_;
  KernelPlan plan_;
  std::vector<BufferPtr> buffers_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
  std::vector<const float*> grad_outputs_;
  std::vector<float*> grad_inputs_;
  std::byte* stash_ = nullptr;
  std::byte* workspace_ = nullptr;
};

void add_benchmark(const std::string& name, const OpCase& op_case, double passes,
                   void (*call)(BoundOp& op)) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    BoundOp op(op_case);
    op.forward();  // backward reads what it leaves
    for (auto _ : state) {
      call(op);
      benchmark::ClobberMemory();
    }
    if (op.plan().flops == 0) return;
    state.counters["FLOP"] =
        benchmark::Counter(op.plan().flops * passes, benchmark::Counter::kIsIterationInvariantRate);
  });
}

int add_all() {
  std::set<std::string> missing;
  for (const Op& op : op_table()) missing.insert(op.name);
  for (const char* view : {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}) {
    missing.erase(view);
  }
  for (const OpCase& op_case : make_cases()) {
    missing.erase(op_case.op);
    const auto title = op_case.attributes.get_string("ftrun.title", "");
    const std::string name = "op/" + op_case.op + (title->empty() ? "" : " " + *title);
    using Part = BoundOp::Part;
    add_benchmark(name + "/forward", op_case, 1, [](BoundOp& op) { op.forward(); });
    add_benchmark(name + "/backward", op_case, 2, [](BoundOp& op) { op.backward(); });
    if (!BoundOp(op_case).plan().splits_backward) continue;
    add_benchmark(name + "/input gradient", op_case, 1,
                  [](BoundOp& op) { op.backward(Part::kInput); });
    add_benchmark(name + "/other gradients", op_case, 1,
                  [](BoundOp& op) { op.backward(Part::kOthers); });
  }
  for (const std::string& name : missing) {
    std::fprintf(stderr, "ops_bench.cpp has no case for %s\n", name.c_str());
  }
  if (!missing.empty()) std::exit(2);
  return 0;
}

const int kAdded = add_all();

}  // namespace
}  // namespace ft
