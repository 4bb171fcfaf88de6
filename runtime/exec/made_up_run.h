#pragma once

// Training of a range on made-up data, to measure it: the same arithmetic as real training, with a
// learning rate of 0, so that nothing grows. It takes the memory of the range, and gives it back.

#include <memory>
#include <vector>

#include "runtime/exec/range_trainer.h"

namespace ft {

class MadeUpRun {
 public:
  // The model's rows are the batch. Errors: those of RangeTrainer.
  static Result<std::unique_ptr<MadeUpRun>> create(const std::shared_ptr<const Model>& model,
                                                   LayerRange range, const TrainerOptions& options,
                                                   ThreadPool* pool);

  // Of the next batch. Errors: those of RangeTrainer::forward.
  Status forward();
  void backward();
  void step();

  RangeTrainer& trainer() { return *trainer_; }

 private:
  std::unique_ptr<RangeTrainer> trainer_;
  std::vector<ConstBufferPtr> inputs_;
  ConstBufferPtr labels_;
  std::vector<ConstBufferPtr> received_;
  int64_t batch_ = 0;
};

}  // namespace ft
