#include "runtime/exec/layer_timer.h"

#include <algorithm>
#include <numeric>

#include "runtime/base/clock.h"
#include "runtime/exec/made_up_run.h"

namespace ft {
namespace {

// At least kRoundsMin, then until the range has been looked at for kEnoughUs.
constexpr int kRoundsMin = 3;
constexpr int kRoundsMax = 9;
constexpr double kEnoughUs = 100'000;
constexpr double kLongUs = 500'000;  // a range that takes longer runs once more only

double sum_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Weights, their gradients and what the nodes make: more than training keeps of it.
int64_t bytes_of(const Model& model, int index, const TrainerOptions& options) {
  const LayerLayout layout = layer_layout(model, index, options.optimizer);
  const Layer& layer = model.layers[static_cast<size_t>(index)];
  int64_t bytes = layout.snapshot_bytes() + 4 * layout.parameter_count;
  for (int32_t i = layer.node_first; i < layer.node_last; ++i) {
    for (const ValueId id : model.nodes[static_cast<size_t>(i)].outputs) {
      if (id != kNoValue) bytes += model.value(id).type.bytes();
    }
  }
  return bytes;
}

// One batch, by layer. What passes take besides kernels (the loss, statistics) is spread over them.
Result<std::vector<double>> time_batch(MadeUpRun* run, LayerWatch* watch, int micro_batches) {
  LayerWatch whole = *watch;
  whole.before();
  FT_RETURN_IF_ERROR(run->forward());
  run->backward();
  whole.after_layer(0);
  std::vector<double> layer_us = watch->take();
  const double passes_us = whole.take()[0];
  const double kernels_us = sum_of(layer_us);
  const double spread = kernels_us > 0 ? std::max(passes_us / kernels_us, 1.0) : 1;
  run->step();
  const std::vector<double> step_us = watch->take();
  for (size_t i = 0; i < layer_us.size(); ++i) {
    layer_us[i] = layer_us[i] * spread + step_us[i] / micro_batches;
  }
  return layer_us;
}

}  // namespace

LayerRange timed_together(const Model& model, int first, const TrainerOptions& options,
                          int64_t bytes) {
  LayerRange range{first, first};
  int64_t rest = bytes;
  for (; range.last < model.layer_count(); ++range.last) {
    rest -= bytes_of(model, range.last, options);
    if (rest < 0 && range.count() > 0) break;
  }
  // What is left at the end, if it is little, would be timed in the caches.
  int64_t behind = 0;
  for (int layer = range.last; layer < model.layer_count() && behind <= bytes / 2; ++layer) {
    behind += bytes_of(model, layer, options);
  }
  if (behind <= bytes / 2) range.last = model.layer_count();
  return range;
}

Result<std::vector<double>> time_layers(const std::shared_ptr<const Model>& model, LayerRange range,
                                        const TrainerOptions& options, ThreadPool* pool) {
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<MadeUpRun> run,
                      MadeUpRun::create(model, range, options, pool));
  LayerWatch watch(*model, range, pool);
  run->trainer().watch(&watch);
  std::vector<std::vector<double>> samples(static_cast<size_t>(range.count()));
  double total_us = 0;
  for (int round = 0; round <= kRoundsMax; ++round) {
    FT_ASSIGN_OR_RETURN(const std::vector<double> layer_us,
                        time_batch(run.get(), &watch, options.micro_batches));
    total_us += sum_of(layer_us);
    if (round == 0) continue;  // its pages are new, its caches cold
    for (size_t i = 0; i < layer_us.size(); ++i) samples[i].push_back(layer_us[i]);
    if (total_us > kLongUs || (round >= kRoundsMin && total_us >= kEnoughUs)) break;
  }
  std::vector<double> medians;
  for (std::vector<double>& each : samples) {
    const auto middle = each.begin() + static_cast<std::ptrdiff_t>(each.size() / 2);
    std::nth_element(each.begin(), middle, each.end());
    medians.push_back(*middle);
  }
  return medians;
}

}  // namespace ft
