#pragma once

// MemoryPlan: what a process takes at most that trains a range, by the rules that RangeTrainer and
// the shell around it follow. This is the one rule: `--memory` is compared with its total, alone
// and for every range that the planner thinks of, and `ftrun inspect --memory` prints its parts.
// docs/planning.md has the table of what was foretold and what was measured (bench/memory.py).

#include <cstdint>

#include "runtime/exec/range_trainer.h"

namespace ft {

// What the process holds besides the range.
struct ProcessMemory {
  int threads = 1;          // that compute
  bool has_peers = false;   // it sends and receives
  int64_t file_bytes = 0;   // the model file
  bool keeps_file = false;  // for others, or for the next range; else it is read when needed
  int64_t data_bytes = 0;   // the data set and the order of its samples
  bool evaluates = false;   // there are test samples: some wait beside those of training
};

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
  int64_t batch_bytes = 0;      // samples in flight and the next, output and its gradient
  int64_t message_bytes = 0;    // what crosses the cuts, there and back
  int64_t spare_bytes = 0;      // what nobody asked for: pages of which a part is used
  int64_t file_bytes = 0;       // the model file, where it is kept
  int64_t data_bytes = 0;       // the data set
  int64_t process_bytes = 0;    // program, libraries, threads, the model's graph
  int64_t start_bytes = 0;      // more than all of that, while the model file is read
  int64_t cut_bytes = 0;        // one version in the form of snapshots

  // What the trainer itself holds between two batches.
  int64_t trainer_bytes() const {
    return parameter_bytes + optimizer_bytes + statistic_bytes + version_bytes + gradient_bytes +
           stash_bytes + work_bytes;
  }
  // What the range takes, whatever process it is in.
  int64_t range_bytes() const {
    return trainer_bytes() + batch_bytes + message_bytes + spare_bytes;
  }
  // Of the process at most, where it holds no cuts besides.
  int64_t total_bytes() const {
    return range_bytes() + file_bytes + data_bytes + process_bytes + start_bytes;
  }
};

// What the process takes without any range: the greater of the two is what a device must have.
struct ProcessBytes {
  int64_t file_bytes = 0;
  int64_t data_bytes = 0;
  int64_t process_bytes = 0;
  int64_t start_bytes = 0;  // in all, while the model file is read
  int64_t held_bytes() const { return file_bytes + data_bytes + process_bytes; }
};
ProcessBytes plan_process(const Model& model, const ProcessMemory& process);

// Of the range with `in_flight` micro-batches between forward and backward, as at_place() makes it.
// Errors: those of compile_range.
Result<MemoryPlan> plan_memory(const Model& model, LayerRange range, const TrainerOptions& options,
                               int in_flight = 1, const ProcessMemory& process = {});

// How a stage with so many micro-batches in flight trains where memory counts: the last one's share
// one block, the first steps layer by layer, and nothing is deferred.
TrainerOptions at_place(const TrainerOptions& options, int in_flight);

}  // namespace ft
