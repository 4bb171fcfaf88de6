#include "tests/onnx_import/model_runner.h"

#include <cstring>
#include <doctest/doctest.h>

namespace ft {
namespace {

struct Memory {
  std::vector<BufferPtr> values;

  void* at(ValueId id) {
    return id == kNoValue ? nullptr : values[static_cast<size_t>(id)]->data();
  }
};

void run_node(const Model& model, const Node& node, uint32_t index, Mode mode, const StepId& step,
              ThreadPool* pool, Memory* memory) {
  const std::vector<OpInput> inputs = op_inputs(model, node);
  OpRequest request;
  request.attributes = &node.attributes;
  request.inputs = inputs;
  request.output_count = static_cast<int>(node.outputs.size());
  request.opset = node.opset;
  request.mode = mode;
  request.node = index;
  const Result<KernelPlan> plan = node.op->make(request);
  REQUIRE_MESSAGE(plan.ok(), plan.status().message());
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const ValueId id : node.inputs) from.push_back(memory->at(id));
  for (const ValueId id : node.outputs) to.push_back(memory->at(id));
  if (plan->is_view) {
    std::memcpy(to[0], from[0], static_cast<size_t>(plan->outputs[0].bytes()));
    return;
  }
  const BufferPtr stash = make_buffer(static_cast<uint64_t>(plan->stash_bytes) + 64);
  const BufferPtr work = make_buffer(static_cast<uint64_t>(plan->forward_workspace_bytes) + 64);
  ForwardArgs args;
  args.inputs = from;
  args.outputs = to;
  args.stash = stash->data();
  args.workspace = work->data();
  args.pool = pool;
  args.step = step;
  plan->kernel->forward(args);
}

}  // namespace

std::vector<float> run_model(const Model& model, const std::vector<float>& input, Mode mode,
                             const StepId& step) {
  ThreadPool pool(1);
  Memory memory;
  for (const Value& value : model.values) {
    BufferPtr buffer = make_buffer(static_cast<uint64_t>(value.type.bytes()));
    if (value.data != nullptr) std::memcpy(buffer->data(), value.data->data(), buffer->size());
    memory.values.push_back(std::move(buffer));
  }
  REQUIRE(model.value(model.input).type.bytes() == static_cast<int64_t>(input.size() * 4));
  std::memcpy(memory.at(model.input), input.data(), input.size() * 4);
  for (size_t i = 0; i < model.nodes.size(); ++i) {
    run_node(model, model.nodes[i], static_cast<uint32_t>(i), mode, step, &pool, &memory);
  }
  const auto* output = static_cast<const float*>(memory.at(model.output));
  return {output, output + model.value(model.output).type.shape.element_count()};
}

std::vector<float> rows_of(const std::vector<float>& batch, int64_t rows_in_batch, int64_t first,
                           int64_t rows) {
  const auto row = static_cast<int64_t>(batch.size()) / rows_in_batch;
  return {batch.begin() + first * row, batch.begin() + (first + rows) * row};
}

}  // namespace ft
