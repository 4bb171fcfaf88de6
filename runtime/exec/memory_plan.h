#pragma once

// MemoryPlan: what training a range takes of memory, by the rules that RangeTrainer and the shell
// around it follow. `ftrun inspect --memory` prints it; the planner's sizes come from it
// (runtime/node/measure_model.h).

#include <cstdint>

#include "runtime/exec/range_trainer.h"

namespace ft {

struct MemoryPlan {
  int64_t parameter_bytes = 0;  // the newest version: weights
  int64_t optimizer_bytes = 0;  // its optimizer state
  int64_t statistic_bytes = 0;  // its running statistics, and their chain besides
  int64_t version_bytes = 0;    // older versions that batches in flight use
  int64_t gradient_bytes = 0;   // of parameters, where they stand apart from the work space
  int64_t stash_bytes = 0;      // what backward reads, with several micro-batches in flight
  int64_t work_bytes = 0;       // outputs, gradients, columns; what backward reads, with one
  int64_t kept_bytes = 0;       // of that, from forward to backward
  int64_t column_bytes = 0;     // of that, the greatest that one kernel works in
  int64_t batch_bytes = 0;    // samples and labels of this batch and the next, the loss's gradient
  int64_t cut_bytes = 0;      // a cut, while the version after it is trained
  int64_t process_bytes = 0;  // program, libraries, threads, what BLAS packs

  // What the trainer itself holds between two batches.
  int64_t trainer_bytes() const {
    return parameter_bytes + optimizer_bytes + statistic_bytes + version_bytes + gradient_bytes +
           stash_bytes + work_bytes;
  }
  // While training; a cut comes on top of it.
  int64_t total_bytes() const { return trainer_bytes() + batch_bytes + process_bytes; }
};

// Of a range with `in_flight` micro-batches between forward and backward.
// Errors: those of compile_range.
Result<MemoryPlan> plan_memory(const Model& model, LayerRange range, const TrainerOptions& options,
                               int in_flight = 1);

}  // namespace ft
