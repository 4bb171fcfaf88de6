#pragma once

// Oracle: one process that computes what a pipeline computes, with the same bits (DESIGN 3): per
// batch all ranges forward, backward, step, without messages and without batches in flight. It
// shares the executor and schedule.h with the pipeline, and nothing else. One thread owns it.

#include <memory>
#include <string>
#include <vector>

#include "runtime/exec/range_trainer.h"
#include "runtime/node/training_job.h"

namespace ft {

class Oracle {
 public:
  // Both must outlive it.
  Oracle(const TrainingJob* job, ThreadPool* pool);

  // Of the whole model, one per layer.
  const std::vector<LayerLayout>& layouts() const { return layouts_; }
  // Version -1, of all layers.
  std::vector<LayerState> initial_states() const;

  // What a new term of the pipeline does: these ranges, from one state per layer as `version`,
  // nothing in flight. Errors: kInvalid, naming a node that does not fit.
  Status resume(const std::vector<LayerRange>& ranges, int64_t version,
                const std::vector<LayerState>& states);

  // Trains the batch after version(). REQUIRES: resume. Errors: as RangeTrainer::forward.
  Status train_batch();

  int64_t version() const { return version_; }
  double loss() const { return loss_; }  // of the last batch
  // Of all layers at version(). REQUIRES: resume.
  std::vector<LayerState> states() const;

  // Of such states, as a run's end prints it.
  std::string hash(const std::vector<LayerState>& states) const;

 private:
  Result<double> forward(int64_t batch, int32_t micro);
  void backward(int64_t batch, int32_t micro);

  const TrainingJob& job_;
  const net::Training& training_;
  ThreadPool* pool_;
  BatchLoader loader_;
  std::vector<LayerLayout> layouts_;
  std::vector<LayerRange> ranges_;
  std::vector<std::unique_ptr<RangeTrainer>> stages_;
  int64_t resumed_ = -1;
  int64_t version_ = -1;
  double loss_ = 0;
};

}  // namespace ft
