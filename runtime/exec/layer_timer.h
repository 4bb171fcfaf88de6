#pragma once

// How long each layer takes on this device: what the planner compares devices by.

#include <memory>

#include "runtime/exec/range_trainer.h"

namespace ft {

// The layers from `first` on that are timed in one go: as many as take about `bytes`, one at least;
// all that are left when those behind take less than half of it.
LayerRange timed_together(const Model& model, int first, const TrainerOptions& options,
                          int64_t bytes);
// More than the caches of such devices hold, so that a layer meets its weights and what it has kept
// for backward where it meets them in training; alone, a layer looks up to a third faster.
constexpr int64_t kTimedTogetherBytes = 48 << 20;

// Runs forward, backward and step of a range on made-up data: once to warm up, then a few times,
// or only once more when that takes long. The step counts once for all micro-batches of a batch.
// Memory for the range is taken, and given back. Returns microseconds for a micro-batch, by layer
// of the range: medians, in CPU time (layer_watch.h; cpu_probe.h tells of what others take).
// Errors: those of RangeTrainer.
Result<std::vector<double>> time_layers(const std::shared_ptr<const Model>& model, LayerRange range,
                                        const TrainerOptions& options, ThreadPool* pool);

}  // namespace ft
