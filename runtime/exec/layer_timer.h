#pragma once

// How long one layer takes on this device: what the planner compares devices by.

#include <memory>

#include "runtime/exec/range_trainer.h"

namespace ft {

// Runs forward, backward and step on made-up data: once to warm up, then a few times, fewer when
// they take long. The step counts once for all micro-batches of a batch. Memory for the layer alone
// is taken, and given back.
// Returns microseconds for a micro-batch, in CPU time: what other programs or a quota take in
// between does not count (cpu_probe.h tells of that).
// Errors: those of RangeTrainer.
Result<double> time_layer(const std::shared_ptr<const Model>& model, int layer,
                          const TrainerOptions& options, ThreadPool* pool);

}  // namespace ft
