#pragma once

// RangeExecutor runs a compiled range: it owns the arena and turns locations into pointers. It
// knows nothing of batches in flight or versions: the caller (range_trainer.h) hands in the state
// to use and a slot per micro-batch. One thread (the compute thread) owns it and the pool.

#include <functional>
#include <memory>
#include <vector>

#include "runtime/exec/range_program.h"

namespace ft {

// One micro-batch between forward and backward.
struct Slot {
  BufferPtr stash;
  std::vector<ConstBufferPtr> inputs;   // by RangeProgram::inputs
  std::vector<ConstBufferPtr> outputs;  // by RangeProgram::outputs
};

// Is told of every kernel that runs; `node` is counted from the first of the range. What backward
// makes again of forward is the node's whose output it is.
class KernelWatch {
 public:
  virtual ~KernelWatch() = default;
  virtual void before() = 0;
  virtual void after(int32_t node, bool backward) = 0;
};

// Per layer of the range: what LayerState holds.
using LayerBuffers = std::vector<ConstBufferPtr>;

class RangeExecutor {
 public:
  // Errors: kInvalid when a node has no kernel for these shapes.
  static Result<std::unique_ptr<RangeExecutor>> create(std::shared_ptr<const Model> model,
                                                       LayerRange range,
                                                       std::vector<LayerLayout> layouts,
                                                       const BackwardOptions& options,
                                                       ThreadPool* pool);

  const RangeProgram& train() const { return *train_; }
  const RangeProgram& infer() const { return *infer_; }
  // From now on, until it is null.
  void watch(KernelWatch* watch) { watch_ = watch; }
  int64_t work_bytes() const { return static_cast<int64_t>(work_->size()); }
  // Work space, and the stashes that no slot has.
  int64_t held_bytes() const {
    return work_bytes() + static_cast<int64_t>(free_stashes_.size()) * train_->stash_bytes;
  }

  // Forward of one micro-batch in training mode. `inputs` by train().inputs. Fills the slot;
  // slot->outputs are what crosses the end of the range. `next_statistics` receives the statistics
  // after this pass: buffers of the layout's size, already holding the old ones.
  void forward(const LayerBuffers& parameters, const LayerBuffers& statistics,
               std::vector<ConstBufferPtr> inputs, const StepId& step,
               const std::vector<BufferPtr>& next_statistics, Slot* slot);

  // A layer of the range, and its gradients: parameter_count floats.
  using LayerFinished = std::function<void(size_t, const float*)>;
  // What backward is given. `received` by train().received_gradients; `parameter_gradients` are
  // overwritten: per layer, parameter_count floats. When train() steps by layer, there are none:
  // `finished` is told each layer's in turn, and may overwrite that layer's parameters.
  struct Backward {
    const LayerBuffers* parameters = nullptr;
    LayerBuffers statistics;
    std::vector<ConstBufferPtr> received;
    StepId step;
    std::vector<BufferPtr> parameter_gradients;
    LayerFinished finished;
    Slot slot;
  };

  // Backward of the same micro-batch with the same parameters. Returns the gradients to send, by
  // train().sent_gradients.
  std::vector<ConstBufferPtr> backward(const Backward& call);
  // What backward has deferred, before anything else is run; the stash is returned to the executor.
  // To be called in any case.
  void finish_backward(Backward&& call);

  // Forward-only pass in inference mode; returns what crosses the end, by infer().outputs.
  std::vector<ConstBufferPtr> evaluate(const LayerBuffers& parameters,
                                       const LayerBuffers& statistics,
                                       std::vector<ConstBufferPtr> inputs);

 private:
  struct Frame;

  RangeExecutor(std::shared_ptr<const Model> model, std::vector<LayerLayout> layouts,
                ThreadPool* pool);
  struct ForwardOperands {  // what ForwardArgs point into
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
  };
  struct BackwardOperands {
    std::vector<const void*> inputs;
    std::vector<const void*> outputs;
    std::vector<const float*> grad_outputs;
    std::vector<float*> grad_inputs;
  };
  ForwardArgs forward_args(const ForwardStep& forward_step, const Frame& frame, const StepId& step,
                           ForwardOperands* operands) const;
  void run_forward(const RangeProgram& program, const Frame& frame, const StepId& step);
  std::vector<BufferPtr> make_outputs(const RangeProgram& program,
                                      const std::vector<ConstBufferPtr>& inputs);
  BufferPtr take_stash();
  Frame backward_frame(const Backward& call, const std::vector<BufferPtr>& sent) const;
  void run_backward(const std::vector<BackwardStep>& steps, const Frame& frame,
                    const Backward& call);
  void run_kernel(const BackwardStep& step, const Frame& frame, const StepId& id,
                  BackwardOperands* operands);

  std::shared_ptr<const Model> model_;
  std::vector<LayerLayout> layouts_;
  ThreadPool* pool_;
  std::unique_ptr<const RangeProgram> train_;
  std::unique_ptr<const RangeProgram> infer_;
  BufferPtr work_;
  std::vector<BufferPtr> free_stashes_;
  RecycledBuffers crossing_;  // outputs and gradients that are sent
  KernelWatch* watch_ = nullptr;
};

}  // namespace ft
