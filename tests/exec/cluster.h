#pragma once

// A model trained in one thread by several RangeTrainers, cut anywhere: what the pipeline computes,
// without the pipeline.

#include <memory>
#include <string>
#include <vector>

#include "runtime/exec/range_trainer.h"

namespace ft::test {

// Imports tests/golden/models/NAME bound to `rows` rows.
std::shared_ptr<const Model> golden_model(const std::string& name, int64_t rows);

class Cluster {
 public:
  // `cuts` are layer numbers; empty: one range. As in a pipeline, the first stage never defers
  // gradients, and of several stages the last has one micro-batch in flight.
  Cluster(std::shared_ptr<const Model> model, const std::vector<int>& cuts,
          const TrainerOptions& options, int threads);

  // One batch in `sync` fashion; `inputs` and `labels` by micro-batch. Returns the loss sum.
  double train(int64_t batch, const std::vector<ConstBufferPtr>& inputs,
               const std::vector<ConstBufferPtr>& labels);

  // Correct rows and loss of one inference pass.
  LossResult evaluate(int64_t version, const ConstBufferPtr& input, const ConstBufferPtr& labels);

  std::string hash(int64_t version) const;
  const RangeTrainer& stage(size_t place) const { return *stages_.at(place); }

 private:
  std::shared_ptr<const Model> model_;
  std::vector<LayerRange> ranges_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<RangeTrainer>> stages_;
};

// Random input and labels for `rows` rows of the model, a pure function of `number`.
ConstBufferPtr random_input(const Model& model, uint64_t number);
ConstBufferPtr random_labels(const Model& model, uint64_t number);

}  // namespace ft::test
