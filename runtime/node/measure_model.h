#pragma once

// What the planner must know of a model and of this device (partition/planner.h): sizes by rule,
// times by measuring.

#include <functional>
#include <memory>
#include <vector>

#include "partition/planner.h"
#include "partition/speed.h"
#include "runtime/exec/memory_plan.h"
#include "runtime/exec/range_trainer.h"
#include "runtime/node/slowdown.h"

namespace ft {

struct ModelSizes {
  std::vector<LayerSize> layers;
  std::vector<CutSize> cuts;
};

// Upper estimates: what a layer keeps counts even where its neighbour keeps the same bytes.
// Errors: kInvalid, naming a node that does not fit.
Result<ModelSizes> sizes_of(const Model& model, const TrainerOptions& options);

struct ModelTimes {
  std::vector<double> layer_us;  // as in DeviceCost
  CpuMeasure cpu;
  double work_per_us = 0;  // of the CPU, to compare later probes with
};

// What plan_memory says of each range, with `cuts` snapshots of it besides; what was asked for once
// is remembered. For one thread at a time. A range that cannot be compiled fits nowhere.
RangeBytes range_bytes_of(std::shared_ptr<const Model> model, const TrainerOptions& options,
                          int cuts, bool evaluates);

// What plan_process says.
ProcessSize process_size_of(const Model& model, const ProcessMemory& process);

// Of a device that has `memory_bytes` for us (0: no limit), what timing layers may take.
int64_t bytes_for_timing(int64_t memory_bytes);

// Times every layer of the model here, with so many threads: some batches, a second or less on a
// laptop. Errors: those of time_layers.
Result<ModelTimes> measure_model(const std::shared_ptr<const Model>& model,
                                 const TrainerOptions& options, int threads, Slowdown slowdown,
                                 int64_t memory_bytes);

}  // namespace ft
