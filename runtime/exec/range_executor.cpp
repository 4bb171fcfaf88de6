#include "runtime/exec/range_executor.h"

#include <algorithm>
#include <cstring>

namespace ft {
namespace {

void add_arrays(const float* a, const float* b, float* target, int64_t count) {
  for (int64_t i = 0; i < count; ++i) target[i] = a[i] + b[i];
}

std::vector<const std::byte*> bases(const std::vector<ConstBufferPtr>& buffers) {
  std::vector<const std::byte*> list;
  list.reserve(buffers.size());
  for (const ConstBufferPtr& buffer : buffers) {
    list.push_back(buffer == nullptr ? nullptr : buffer->data());
  }
  return list;
}

std::vector<std::byte*> mutable_bases(const std::vector<BufferPtr>& buffers) {
  std::vector<std::byte*> list;
  list.reserve(buffers.size());
  for (const BufferPtr& buffer : buffers) {
    list.push_back(buffer == nullptr ? nullptr : buffer->data());
  }
  return list;
}

template <typename T>
T* base_at(const std::vector<T*>& list, const Location& location) {
  if (list.empty()) return nullptr;
  return list[static_cast<size_t>(location.index)];
}

}  // namespace

// The base addresses of one call.
struct RangeExecutor::Frame {
  const Model* model = nullptr;
  std::byte* stash = nullptr;
  std::byte* work = nullptr;
  std::vector<const std::byte*> parameters;
  std::vector<const std::byte*> statistics;
  std::vector<const std::byte*> inputs;
  std::vector<const std::byte*> saved_outputs;  // in backward: what forward wrote
  std::vector<const std::byte*> received;
  std::vector<std::byte*> outputs;
  std::vector<std::byte*> next_statistics;
  std::vector<std::byte*> parameter_gradients;
  std::vector<std::byte*> sent;

  const std::byte* read(const Location& location) const {
    const std::byte* base = nullptr;
    switch (location.region) {
      case Region::kConstant:
        return model->value(location.index).data->data();
      case Region::kParameter:
        base = base_at(parameters, location);
        break;
      case Region::kStatistic:
        base = base_at(statistics, location);
        break;
      case Region::kInput:
        base = base_at(inputs, location);
        break;
      case Region::kReceivedGradient:
        base = base_at(received, location);
        break;
      case Region::kOutput:
        if (!saved_outputs.empty()) {
          base = base_at(saved_outputs, location);
          break;
        }
        [[fallthrough]];
      default:
        return write(location);
    }
    return base == nullptr ? nullptr : base + location.offset;
  }

  std::byte* write(const Location& location) const {
    std::byte* base = nullptr;
    switch (location.region) {
      case Region::kNone:
        return nullptr;
      case Region::kStash:
        base = stash;
        break;
      case Region::kWork:
        base = work;
        break;
      case Region::kOutput:
        base = base_at(outputs, location);
        break;
      case Region::kNextStatistic:
        base = base_at(next_statistics, location);
        break;
      case Region::kParameterGradient:
        base = base_at(parameter_gradients, location);
        break;
      case Region::kSentGradient:
        base = base_at(sent, location);
        break;
      default:
        FT_CHECK(false);  // the others are read only
    }
    return base == nullptr ? nullptr : base + location.offset;
  }

  float* write_floats(const Location& location) const {
    return reinterpret_cast<float*>(write(location));
  }
  const float* read_floats(const Location& location) const {
    return reinterpret_cast<const float*>(read(location));
  }
  void copy(const CopyStep& step) const {
    std::memcpy(write(step.target), read(step.source), static_cast<size_t>(step.bytes));
  }
};

RangeExecutor::RangeExecutor(std::shared_ptr<const Model> model, std::vector<LayerLayout> layouts,
                             ThreadPool* pool)
    : model_(std::move(model)), layouts_(std::move(layouts)), pool_(pool) {}

Result<std::unique_ptr<RangeExecutor>> RangeExecutor::create(std::shared_ptr<const Model> model,
                                                             LayerRange range,
                                                             std::vector<LayerLayout> layouts,
                                                             const BackwardOptions& options,
                                                             ThreadPool* pool) {
  std::unique_ptr<RangeExecutor> executor(
      new RangeExecutor(std::move(model), std::move(layouts), pool));
  FT_ASSIGN_OR_RETURN(executor->train_, compile_range(*executor->model_, range, executor->layouts_,
                                                      Mode::kTrain, options));
  FT_ASSIGN_OR_RETURN(executor->infer_,
                      compile_range(*executor->model_, range, executor->layouts_, Mode::kInfer));
  executor->work_ =
      make_buffer(std::max(executor->train_->work_bytes, executor->infer_->work_bytes));
  return executor;
}

BufferPtr RangeExecutor::take_stash() {
  if (free_stashes_.empty()) return make_buffer(train_->stash_bytes);
  BufferPtr stash = std::move(free_stashes_.back());
  free_stashes_.pop_back();
  return stash;
}

// Null for a tensor that passes through: the message of the previous stage is sent on.
std::vector<BufferPtr> RangeExecutor::make_outputs(const RangeProgram& program,
                                                   const std::vector<ConstBufferPtr>& inputs) {
  FT_CHECK(inputs.size() == program.inputs.size());
  std::vector<BufferPtr> outputs(program.outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (program.passed_outputs[i] >= 0) continue;
    outputs[i] = crossing_.make(model_->value(program.outputs[i]).type.bytes());
  }
  return outputs;
}

ForwardArgs RangeExecutor::forward_args(const ForwardStep& forward_step, const Frame& frame,
                                        const StepId& step, ForwardOperands* operands) const {
  operands->inputs.clear();
  operands->outputs.clear();
  for (const Location& location : forward_step.inputs) {
    operands->inputs.push_back(frame.read(location));
  }
  for (const Location& location : forward_step.outputs) {
    operands->outputs.push_back(frame.write(location));
  }
  ForwardArgs args;
  args.inputs = operands->inputs;
  args.outputs = operands->outputs;
  args.stash = frame.write(forward_step.stash);
  args.workspace = frame.write(forward_step.workspace);
  args.pool = pool_;
  args.step = step;
  return args;
}

void RangeExecutor::run_forward(const RangeProgram& program, const Frame& frame,
                                const StepId& step) {
  ForwardOperands operands;
  for (const ForwardStep& forward_step : program.forward) {
    const ForwardArgs args = forward_args(forward_step, frame, step, &operands);
    if (watch_ != nullptr) watch_->before();
    forward_step.kernel->forward(args);
    if (watch_ != nullptr) watch_->after(forward_step.node, false);
  }
  for (const CopyStep& copy : program.forward_copies) frame.copy(copy);
}

namespace {

std::vector<ConstBufferPtr> with_passed(const std::vector<BufferPtr>& made,
                                        const std::vector<int32_t>& passed,
                                        const std::vector<ConstBufferPtr>& source) {
  std::vector<ConstBufferPtr> all(made.begin(), made.end());
  for (size_t i = 0; i < all.size(); ++i) {
    if (passed[i] >= 0) all[i] = source[static_cast<size_t>(passed[i])];
  }
  return all;
}

}  // namespace

void RangeExecutor::forward(const LayerBuffers& parameters, const LayerBuffers& statistics,
                            std::vector<ConstBufferPtr> inputs, const StepId& step,
                            const std::vector<BufferPtr>& next_statistics, Slot* slot) {
  slot->stash = take_stash();
  slot->inputs = std::move(inputs);
  const std::vector<BufferPtr> outputs = make_outputs(*train_, slot->inputs);
  Frame frame;
  frame.model = model_.get();
  frame.stash = slot->stash->data();
  frame.work = work_->data();
  frame.parameters = bases(parameters);
  frame.statistics = bases(statistics);
  frame.inputs = bases(slot->inputs);
  frame.outputs = mutable_bases(outputs);
  frame.next_statistics = mutable_bases(next_statistics);
  run_forward(*train_, frame, step);
  slot->outputs = with_passed(outputs, train_->passed_outputs, slot->inputs);
}

std::vector<ConstBufferPtr> RangeExecutor::evaluate(const LayerBuffers& parameters,
                                                    const LayerBuffers& statistics,
                                                    std::vector<ConstBufferPtr> inputs) {
  const std::vector<BufferPtr> outputs = make_outputs(*infer_, inputs);
  Frame frame;
  frame.model = model_.get();
  frame.work = work_->data();
  frame.parameters = bases(parameters);
  frame.statistics = bases(statistics);
  frame.inputs = bases(inputs);
  frame.outputs = mutable_bases(outputs);
  run_forward(*infer_, frame, StepId());
  return with_passed(outputs, infer_->passed_outputs, inputs);
}

RangeExecutor::Frame RangeExecutor::backward_frame(const Backward& call,
                                                   const std::vector<BufferPtr>& sent) const {
  Frame frame;
  frame.model = model_.get();
  frame.stash = call.slot.stash->data();
  frame.work = work_->data();
  frame.parameters = bases(*call.parameters);
  frame.statistics = bases(call.statistics);
  frame.inputs = bases(call.slot.inputs);
  frame.saved_outputs = bases(call.slot.outputs);
  frame.received = bases(call.received);
  frame.parameter_gradients = mutable_bases(call.parameter_gradients);
  frame.sent = mutable_bases(sent);
  return frame;
}

std::vector<ConstBufferPtr> RangeExecutor::backward(const Backward& call) {
  FT_CHECK(call.received.size() == train_->received_gradients.size());
  std::vector<BufferPtr> sent(train_->sent_gradients.size());
  for (size_t i = 0; i < sent.size(); ++i) {
    if (train_->passed_gradients[i] >= 0) continue;
    sent[i] = crossing_.make(model_->value(train_->sent_gradients[i]).type.bytes());
  }
  const Frame frame = backward_frame(call, sent);
  for (size_t i = 0; i < train_->unused_gradients.size(); ++i) {
    std::memset(frame.write(train_->unused_gradients[i]), 0,
                static_cast<size_t>(train_->unused_gradient_bytes[i]));
  }
  for (const int32_t index : train_->empty_sent) {
    BufferPtr& buffer = sent[static_cast<size_t>(index)];
    std::memset(buffer->data(), 0, buffer->size());
  }
  run_backward(train_->backward, frame, call);
  return with_passed(sent, train_->passed_gradients, call.received);
}

void RangeExecutor::finish_backward(Backward&& call) {
  if (!train_->deferred.empty()) {
    run_backward(train_->deferred, backward_frame(call, {}), call);
  }
  free_stashes_.push_back(std::move(call.slot.stash));
}

void RangeExecutor::run_kernel(const BackwardStep& backward_step, const Frame& frame,
                               const StepId& id, BackwardOperands* operands) {
  operands->inputs.clear();
  operands->outputs.clear();
  operands->grad_outputs.clear();
  operands->grad_inputs.clear();
  for (const Location& location : backward_step.inputs) {
    operands->inputs.push_back(frame.read(location));
  }
  for (const Location& location : backward_step.outputs) {
    operands->outputs.push_back(frame.read(location));
  }
  for (const Location& location : backward_step.grad_outputs) {
    operands->grad_outputs.push_back(frame.read_floats(location));
  }
  for (const Location& location : backward_step.grad_inputs) {
    operands->grad_inputs.push_back(frame.write_floats(location));
  }
  BackwardArgs args;
  args.inputs = operands->inputs;
  args.outputs = operands->outputs;
  args.grad_outputs = operands->grad_outputs;
  args.grad_inputs = operands->grad_inputs;
  args.stash = frame.write(backward_step.stash);
  args.workspace = frame.write(backward_step.workspace);
  args.pool = pool_;
  args.step = id;
  if (watch_ != nullptr) watch_->before();
  backward_step.kernel->backward(args);
  if (watch_ != nullptr) watch_->after(backward_step.node, true);
}

void RangeExecutor::run_backward(const std::vector<BackwardStep>& steps, const Frame& frame,
                                 const Backward& call) {
  ForwardOperands again_operands;
  BackwardOperands operands;
  for (const BackwardStep& step : steps) {
    for (const ForwardStep& again : step.recomputes) {
      const ForwardArgs args = forward_args(again, frame, call.step, &again_operands);
      if (watch_ != nullptr) watch_->before();
      again.kernel->recompute(args);
      if (watch_ != nullptr) watch_->after(again.node, true);
    }
    if (step.kernel != nullptr) run_kernel(step, frame, call.step, &operands);
    for (const CopyStep& copy : step.copies) frame.copy(copy);
    for (const AddStep& addition : step.additions) {
      add_arrays(frame.read_floats(addition.a), frame.read_floats(addition.b),
                 frame.write_floats(addition.target), addition.elements);
    }
    for (const LayerGradient& gradient : step.finished) {
      call.finished(static_cast<size_t>(gradient.layer), frame.read_floats(gradient.location));
    }
  }
}

}  // namespace ft
