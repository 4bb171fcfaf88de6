#pragma once

// Pipeline: the product's trainers over some cuts of a model, driven in one thread in the order of
// a real pipeline: what is under test. No messages, no clock.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/exec/range_trainer.h"

namespace ft::fuzz {

struct Station {
  LayerRange range;
  int stage = 0;  // whose versions it uses in async: a stage may be cut into several stations
  bool defers = false;
  bool one_in_flight = false;
  bool steps_by_layer = false;
};

struct RunPlan {
  std::vector<Station> stations;
  bool is_async = false;
  int stages = 1;
  int micro_batches = 1;
  bool fills_first = false;  // sync: all forward passes of a batch, then all backward passes
  int aggregate_every = 0;   // async: batches
  int threads = 1;
};

std::string describe_plan(const RunPlan& plan);

struct Samples {
  std::vector<ConstBufferPtr> inputs;  // by micro-batch
  std::vector<ConstBufferPtr> labels;
};

class Pipeline {
 public:
  // `options` as a whole run has them; what a station decides is filled in here.
  static Result<std::unique_ptr<Pipeline>> create(std::shared_ptr<const Model> model,
                                                  const TrainerOptions& options,
                                                  const RunPlan& plan);

  // The next batches, the first being 0; in async all at once. Errors: what forward says, a loss
  // that is not finite say.
  Status train(const std::vector<Samples>& batches);
  // Of the last batch trained, by layer of the model: LayerState::snapshot.
  std::vector<ConstBufferPtr> snapshots() const;
  // By batch.
  const std::vector<double>& losses() const { return losses_; }
  // The model's output for the last version.
  Result<ConstBufferPtr> evaluate(const ConstBufferPtr& input, const ConstBufferPtr& labels);
  std::string hash() const;

 private:
  using Crossing = std::map<ValueId, ConstBufferPtr>;

  Pipeline(std::shared_ptr<const Model> model, const RunPlan& plan)
      : model_(std::move(model)), plan_(plan), pool_(plan.threads) {}
  Status train_sync(const std::vector<Samples>& batches);
  Status train_async(const std::vector<Samples>& batches);
  Status forward(size_t station, int64_t batch, int micro, int64_t version, const Samples& samples);
  void backward(size_t station, int64_t batch, int micro);
  void step(size_t station, int64_t batch);

  std::shared_ptr<const Model> model_;
  const RunPlan plan_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<RangeTrainer>> trainers_;
  // By batch and micro-batch: what lies between two stations.
  std::map<std::pair<int64_t, int>, Crossing> activations_;
  std::map<std::pair<int64_t, int>, Crossing> gradients_;
  std::vector<double> losses_;
  int64_t last_batch_ = -1;
};

}  // namespace ft::fuzz
