#include "runtime/node/measure_model.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "runtime/exec/cpu_probe.h"
#include "runtime/exec/layer_timer.h"
#include "runtime/node/message_probe.h"

namespace ft {

namespace {

// Of a device's memory, what stands beside the layers that are timed: the process and the model.
constexpr int64_t kBesideTimingBytes = 24 << 20;

}  // namespace

int64_t bytes_for_timing(int64_t memory_bytes) {
  if (memory_bytes == 0) return kTimedTogetherBytes;
  const int64_t rest = std::max<int64_t>(0, memory_bytes - kBesideTimingBytes);
  return std::min(kTimedTogetherBytes, rest / 4);
}

RangeBytes range_bytes_of(std::shared_ptr<const Model> model, const TrainerOptions& options,
                          int cuts, bool evaluates) {
  using Key = std::pair<std::pair<int, int>, int>;
  const auto known = std::make_shared<std::map<Key, int64_t>>();
  return [=](const LayerRange& range, int in_flight) {
    const auto [place, is_new] = known->try_emplace({{range.first, range.last}, in_flight}, 0);
    if (!is_new) return place->second;
    ProcessMemory process;
    process.evaluates = evaluates;
    const Result<MemoryPlan> plan = plan_memory(*model, range, options, in_flight, process);
    place->second = plan.ok() ? plan->range_bytes() + cuts * plan->cut_bytes
                              : std::numeric_limits<int64_t>::max();
    return place->second;
  };
}

ProcessSize process_size_of(const Model& model, const ProcessMemory& process) {
  const ProcessBytes bytes = plan_process(model, process);
  return {bytes.held_bytes(), bytes.start_bytes};
}

Result<ModelSizes> sizes_of(const Model& model, const TrainerOptions& options) {
  ModelSizes sizes;
  std::vector<LayerLayout> layouts;
  layouts.reserve(model.layers.size());
  for (int layer = 0; layer < model.layer_count(); ++layer) {
    layouts.push_back(layer_layout(model, layer, options.optimizer));
  }
  for (int layer = 0; layer < model.layer_count(); ++layer) {
    FT_ASSIGN_OR_RETURN(const std::unique_ptr<const RangeProgram> program,
                        compile_range(model, {layer, layer + 1}, layouts, Mode::kTrain));
    const LayerLayout& layout = layouts[static_cast<size_t>(layer)];
    LayerSize size;
    size.state_bytes = layout.snapshot_bytes();
    size.parameter_bytes = layout.parameter_count * 4;
    size.stash_bytes = program->stash_bytes;
    for (const ValueId id : program->inputs) size.stash_bytes += model.value(id).type.bytes();
    size.work_bytes = program->work_bytes;
    sizes.layers.push_back(size);
    if (layer == 0) {
      sizes.cuts.push_back({model.value(model.input).type.bytes(), 0});
    } else {
      sizes.cuts.push_back(
          {crossing_bytes(model, layer, false), crossing_bytes(model, layer, true)});
    }
  }
  return sizes;
}

Result<ModelTimes> measure_model(const std::shared_ptr<const Model>& model,
                                 const TrainerOptions& options, int threads, Slowdown slowdown,
                                 int64_t memory_bytes) {
  ThreadPool pool(threads);
  ModelTimes times;
  const double slower = slowdown.factor();
  const int64_t bytes = bytes_for_timing(memory_bytes);
  for (int first = 0; first < model->layer_count();) {
    const LayerRange range = timed_together(*model, first, options, bytes);
    FT_ASSIGN_OR_RETURN(const std::vector<double> each, time_layers(model, range, options, &pool));
    for (const double us : each) times.layer_us.push_back(us * slower);
    first = range.last;
  }
  CpuProbe probe = probe_cpu(&pool, kCpuProbeUs);
  times.cpu.share = cpu_share(probe.cpu_us, probe.wall_us);
  if (times.cpu.share < kElasticShare) {
    probe = probe_cpu(&pool, kElasticLooks * kCpuProbeUs);
    times.cpu.share = cpu_share(probe.cpu_us, probe.wall_us);
  }
  times.cpu.pause_us = pause_length(probe.pauses_us, probe.pauses_us2);
  times.cpu.byte_us = message_byte_us() / threads;
  for (double& us : times.layer_us) us /= times.cpu.share;
  times.work_per_us = probe.work / slower / probe.wall_us;
  return times;
}

}  // namespace ft
