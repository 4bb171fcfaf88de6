#include "tests/sim/task_times.h"

#include <algorithm>

#include "runtime/pipeline/schedule.h"

namespace ft::sim {
namespace {

// Of task_us, by TaskKind; forward, backward and step are those of an equal share of the layers.
constexpr int kPercent[] = {200, 100, 200, 50, 100, 30, 20};
// A paced stage tells of its layers as often as a real one.
constexpr int64_t kLooksEvery = 8;
// Of a paced snapshot: only a reference.
constexpr TimeUs kReferenceUs = 20;

// What a stage without a pace tells of its layers: never the same twice.
std::vector<double> made_up_us(int layers, int64_t batch) {
  std::vector<double> layer_us;
  for (int64_t i = 0; i < layers; ++i) {
    layer_us.push_back(50 + static_cast<double>((37 * batch + 61 * i) % 100));
  }
  return layer_us;
}

}  // namespace

std::vector<double> layers_us(const RunSpec& spec) {
  if (!spec.pace.empty()) return spec.pace.layer_us;
  const double percent =
      kPercent[1] + kPercent[2] + kPercent[3] / static_cast<double>(spec.micros());
  const double each =
      static_cast<double>(spec.task_us) * percent / 100 * (spec.stages + 1) / spec.layers;
  return std::vector<double>(static_cast<size_t>(spec.layers), each);
}

std::vector<double> times(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

double TaskTimes::factor() const { return slowness_ / spec_.pace.speed(device_); }

TimeUs TaskTimes::paced_us(double us) {
  const double drawn = static_cast<double>(dice_.between(-1000, 1000)) / 1000;
  return static_cast<TimeUs>(us * factor() * (1 + spec_.pace.scatter * drawn));
}

TaskTime TaskTimes::take(const Task& task) {
  if (task.kind == TaskKind::kConfigure) {
    const net::LayerRange& range = task.assign.stages(task.stage).range();
    range_ = {range.first(), range.last()};
    defers_ = defers_gradients(task.assign.training(),
                               {task.stage, task.assign.stages_size(), task.version});
  }
  const bool trains = task.kind == TaskKind::kForward || task.kind == TaskKind::kBackward ||
                      task.kind == TaskKind::kStep;
  if (trains && !spec_.pace.empty()) {
    TaskTime time = paced_time(spec_.pace, task.kind, range_, defers_);
    time.result_us = paced_us(static_cast<double>(time.result_us));
    time.rest_us = paced_us(static_cast<double>(time.rest_us));
    if (task.kind == TaskKind::kStep) time.result_us *= spec_.micros();  // layers tell a share
    return time;
  }
  if (task.kind == TaskKind::kSnapshot && !spec_.pace.empty()) return {kReferenceUs, 0};
  TimeUs about = spec_.task_us * kPercent[static_cast<size_t>(task.kind)] / 100;
  if (trains) about = about * range_.count() * (spec_.stages + 1) / spec_.layers;
  return {slowness_ * about * dice_.between(50, 150) / 100, 0};
}

double TaskTimes::measured_us(int layer) const {
  return factor() * layers_us(spec_)[static_cast<size_t>(std::max(layer, 0))];
}

std::vector<double> TaskTimes::told_us(const Task& task) const {
  const std::vector<double>& layer_us = spec_.pace.layer_us;
  if (spec_.pace.empty()) return made_up_us(range_.count(), task.batch);
  if (task.batch % kLooksEvery != 0) return {};
  return times({layer_us.begin() + range_.first, layer_us.begin() + range_.last}, factor());
}

}  // namespace ft::sim
