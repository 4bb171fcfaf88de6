#pragma once

// `--memory` of a run: what its processes take, by runtime/exec/memory_plan.h, and whether that
// fits. The planner, `--role solo` and `ftrun inspect --memory` all ask here.

#include "runtime/exec/memory_plan.h"
#include "runtime/node/options.h"
#include "runtime/node/training_job.h"
#include "runtime/pipeline/central.h"

namespace ft {

// Snapshots of its range that a stage holds at most while it trains on: two cuts, and the version
// that an evaluation reads.
constexpr int kCutsHeld = 3;

// What data take: the data set, and the order of its samples in this epoch and the next.
int64_t data_bytes_of(const Dataset& dataset);

// One process that trains the whole model with these options on this data set (null: on none).
// Errors: those of compile_range.
Result<MemoryPlan> plan_alone(const Model& model, const TrainerOptions& options, int threads,
                              int64_t file_bytes, const Dataset* dataset);

// Whether the model can be trained here alone in `memory_bytes`. REQUIRES: the job has its file.
// Errors: kInvalid: what is needed, what there is, and what would fit.
Status check_alone(const TrainingJob& job, int threads, int64_t memory_bytes);

// What central must know of the memory of its run's devices.
void add_memory_rule(const TrainingJob& job, int threads, CentralOptions* central);

}  // namespace ft
