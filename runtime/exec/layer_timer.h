#pragma once

// How long one layer takes on this device: what the planner weighs devices with.

#include <memory>

#include "runtime/exec/range_trainer.h"

namespace ft {

struct LayerTime {
  // Of forward, backward and step of one micro-batch. Medians leave out what other processes or a
  // CPU quota take in between, so they compare layers; averages keep it, so they say what the
  // device can do for long.
  double median_us = 0;
  double average_us = 0;
  double cpu_us = 0;  // average, of the calling thread and the pool
};

// Runs forward, backward and step on made-up data: once to warm up, then a few times, fewer when
// they take long. The step counts once for all micro-batches of a batch. Memory for the layer alone
// is taken, and given back.
// Errors: those of RangeTrainer.
Result<LayerTime> time_layer(const std::shared_ptr<const Model>& model, int layer,
                             const TrainerOptions& options, ThreadPool* pool);

}  // namespace ft
