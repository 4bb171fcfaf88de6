#pragma once

// RangeTrainer: one stage's share of training: versions of its layers' state, micro-batches in
// flight, gradients, loss. It does what it is told, batch by batch; which version a batch uses and
// when a version may go is decided by the caller (the pipeline's state machine, or the replay
// oracle), so both compute with the very same code. One thread owns it.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "kernels/loss.h"
#include "runtime/exec/layer_watch.h"
#include "runtime/exec/range_executor.h"

namespace ft {

enum class LossKind : uint8_t { kCrossEntropy = 0, kMeanSquaredError = 1 };

struct TrainerOptions {
  OptimizerOptions optimizer;
  LossKind loss = LossKind::kCrossEntropy;
  int64_t batch_size = 0;
  int micro_batches = 1;  // the model is bound to batch_size / micro_batches rows
  uint64_t seed = 0;
  int64_t batches_per_epoch = 1;
  // backward returns before the gradients of parameters are there, as far as they can wait:
  // finish_backward computes them. For stages that others wait for.
  bool defers_gradients = false;
  // Every micro-batch's backward comes right after its forward: they need one block of memory where
  // several in flight need one each. Of the last stage, and of one alone.
  bool one_in_flight = false;
  // step computes the gradients, layer by layer, and backward computes nothing: no more than one
  // layer's gradients are ever there. For a first range with one micro-batch to a batch, where
  // nobody waits for backward; without effect elsewhere.
  bool steps_by_layer = false;
};

// How the executor of that range computes gradients.
BackwardOptions backward_options(const TrainerOptions& options, LayerRange range);

class RangeTrainer {
 public:
  // Errors: kInvalid, naming a node that does not fit.
  static Result<std::unique_ptr<RangeTrainer>> create(std::shared_ptr<const Model> model,
                                                      LayerRange range,
                                                      const TrainerOptions& options,
                                                      ThreadPool* pool);

  // Starts from one state per layer of the range, as version `version`.
  void load(int64_t version, const std::vector<LayerState>& states);

  struct ForwardResult {
    std::vector<ConstBufferPtr> outputs;  // what crosses the end; empty on the last range
    LossResult loss;                      // last range only
  };
  // Forward of micro-batch `micro` of `batch` with the parameters of `version`; on the last range
  // also the loss and its gradient (labels: int64 [rows], or float32 targets). Batches and
  // micro-batches come in order.
  // Errors: kFailed when a label is outside the classes or the loss is not finite.
  Result<ForwardResult> forward(int64_t batch, int micro, int64_t version,
                                std::vector<ConstBufferPtr> inputs, const ConstBufferPtr& labels);

  // Whether TrainerOptions::steps_by_layer has its effect.
  bool steps_by_layer() const { return executor_->train().steps_by_layer; }

  // Backward of the oldest micro-batch that has none yet; `received` is empty on the last range.
  // Returns the gradients to send. REQUIRES: forward of (batch, micro) ran.
  std::vector<ConstBufferPtr> backward(int64_t batch, int micro,
                                       const std::vector<ConstBufferPtr>& received);

  // What the last backward has deferred; nothing when that is done. Whatever comes next does it,
  // too.
  void finish_backward();

  // Which versions are still needed after a step; the others are dropped.
  struct Kept {
    int64_t oldest = 0;      // and all newer ones
    std::set<int64_t> cuts;  // older ones
  };
  // Version `batch` from version batch - 1 and the batch's gradients. With `mean_from` < batch its
  // parameters are then replaced by the mean of versions mean_from .. batch, added oldest first.
  // A layer's version that is not kept, and that nobody else holds, is overwritten by the new one.
  void step(int64_t batch, int64_t mean_from, const Kept& kept);

  struct EvaluationResult {
    std::vector<ConstBufferPtr> outputs;
    LossResult loss;  // last range, over the first `rows` rows
  };
  Result<EvaluationResult> evaluate(int64_t version, std::vector<ConstBufferPtr> inputs,
                                    const ConstBufferPtr& labels, int64_t rows);

  // REQUIRES: the version is held.
  LayerState state(int layer, int64_t version) const;

  // Versions, gradients, stashes, work space: what memory_plan.h foretells.
  int64_t held_bytes() const;

  // From now on, until it is null: all kernels, and the step of each layer.
  void watch(LayerWatch* watch);

  const RangeExecutor& executor() const { return *executor_; }
  RangeExecutor& executor() { return *executor_; }
  const std::vector<LayerLayout>& layouts() const { return layouts_; }  // of the whole model
  bool is_last() const { return range_.last == model_->layer_count(); }

 private:
  struct Flight {
    Slot slot;
    int64_t version = 0;
    ConstBufferPtr grad_output;  // last range: the loss's gradient
  };

  RangeTrainer(std::shared_ptr<const Model> model, LayerRange range, const TrainerOptions& options,
               ThreadPool* pool);
  const LayerLayout& layout(size_t local) const {
    return layouts_[static_cast<size_t>(range_.first) + local];
  }
  StepId step_id(int64_t batch, int micro) const;
  std::vector<BufferPtr> next_statistics() const;
  BufferPtr take_parameters(size_t local, bool overwrites, const ConstBufferPtr& old);
  void mean_of_versions(size_t local, int64_t first, int64_t batch, float* own) const;
  void retain(const Kept& kept);
  std::vector<BufferPtr> make_gradients() const;
  LossResult loss_of(const Buffer& output, const Buffer& labels, int64_t rows,
                     float* grad_output) const;
  Status check_loss(const LossResult& loss, int64_t batch, int64_t version) const;

  std::shared_ptr<const Model> model_;
  LayerRange range_;
  TrainerOptions options_;
  ThreadPool* pool_;
  std::vector<LayerLayout> layouts_;
  std::vector<bool> moves_statistics_;  // by layer of the range: a forward pass changes them
  std::unique_ptr<RangeExecutor> executor_;
  LayerWatch* watch_ = nullptr;

  std::map<int64_t, LayerBuffers> parameters_;   // by version: snapshots
  std::vector<RecycledBuffers> spare_versions_;  // per layer
  std::map<int64_t, LayerBuffers> statistics_;   // by version
  LayerBuffers statistics_head_;                 // after the latest forward pass
  std::map<std::pair<int64_t, int>, Flight> flights_;
  std::optional<RangeExecutor::Backward> unfinished_;  // or not even begun, when stepping by layer
  int unfinished_micro_ = 0;
  std::vector<BufferPtr> gradients_;        // the batch's sum so far; none when stepping by layer
  std::vector<BufferPtr> micro_gradients_;  // of one micro-batch; unused when there is one only
};

}  // namespace ft
