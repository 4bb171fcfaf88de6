#pragma once

// RangeExecutor runs a compiled range: it owns the arena and turns locations into pointers. It
// knows nothing of batches in flight or versions: the caller (range_trainer.h) hands in the state
// to use and a slot per micro-batch. One thread (the compute thread) owns it and the pool.

#include <memory>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/exec/range_program.h"

namespace ft {

// One micro-batch between forward and backward.
struct Slot {
  BufferPtr stash;
  std::vector<ConstBufferPtr> inputs;   // by RangeProgram::inputs
  std::vector<ConstBufferPtr> outputs;  // by RangeProgram::outputs
};

// What a node's kernels have taken, by the clock.
struct NodeTimes {
  TimeUs forward_us = 0;
  TimeUs backward_us = 0;
};

// Per layer of the range: what LayerState holds.
using LayerBuffers = std::vector<ConstBufferPtr>;

class RangeExecutor {
 public:
  // Errors: kInvalid when a node has no kernel for these shapes.
  static Result<std::unique_ptr<RangeExecutor>> create(std::shared_ptr<const Model> model,
                                                       LayerRange range,
                                                       std::vector<LayerLayout> layouts,
                                                       bool defers, ThreadPool* pool);

  const RangeProgram& train() const { return *train_; }
  const RangeProgram& infer() const { return *infer_; }
  // From now on kernels are timed: `times` has one entry per node of the range. Null: no more.
  void profile(std::vector<NodeTimes>* times) { times_ = times; }
  int64_t work_bytes() const { return static_cast<int64_t>(work_->size()); }

  // Forward of one micro-batch in training mode. `inputs` by train().inputs. Fills the slot;
  // slot->outputs are what crosses the end of the range. `next_statistics` receives the statistics
  // after this pass: buffers of the layout's size, already holding the old ones.
  void forward(const LayerBuffers& parameters, const LayerBuffers& statistics,
               std::vector<ConstBufferPtr> inputs, const StepId& step,
               const std::vector<BufferPtr>& next_statistics, Slot* slot);

  // What backward is given. `received` by train().received_gradients; `parameter_gradients` are
  // overwritten: per layer, parameter_count floats.
  struct Backward {
    LayerBuffers parameters;
    LayerBuffers statistics;
    std::vector<ConstBufferPtr> received;
    StepId step;
    std::vector<BufferPtr> parameter_gradients;
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
  void run_forward(const RangeProgram& program, const Frame& frame, const StepId& step);
  std::vector<BufferPtr> make_outputs(const RangeProgram& program,
                                      const std::vector<ConstBufferPtr>& inputs);
  BufferPtr take_stash();
  Frame backward_frame(const Backward& call, const std::vector<BufferPtr>& sent) const;
  void run_backward(const std::vector<BackwardStep>& steps, const Frame& frame, const StepId& step);

  std::shared_ptr<const Model> model_;
  std::vector<LayerLayout> layouts_;
  ThreadPool* pool_;
  std::unique_ptr<const RangeProgram> train_;
  std::unique_ptr<const RangeProgram> infer_;
  BufferPtr work_;
  std::vector<BufferPtr> free_stashes_;
  std::vector<NodeTimes>* times_ = nullptr;
};

}  // namespace ft
