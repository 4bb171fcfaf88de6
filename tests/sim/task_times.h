#pragma once

// TaskTimes: how long the tasks of one simulated device take, and what it tells of the times of its
// layers. By the spec's pace; without one each task about a fixed part of task_us, as drawn.

#include <vector>

#include "runtime/base/layer_range.h"
#include "runtime/pipeline/step.h"
#include "tests/sim/spec.h"

namespace ft::sim {

// What each layer takes on a device that is not slow, for a micro-batch: forward, backward, its
// share of the step.
std::vector<double> layers_us(const RunSpec& spec);

std::vector<double> times(std::vector<double> values, double factor);

class TaskTimes {
 public:
  // Both outlive it. `device` is its place in the pace, 0 central's.
  TaskTimes(const RunSpec* spec, Dice* dice, int device)
      : spec_(*spec), dice_(*dice), device_(device) {}

  void set_slowness(int factor) { slowness_ = factor; }

  // Of the task that begins now.
  TaskTime take(const Task& task);
  // What it finds when it measures a layer, and what it tells of those that it trains after a step
  // (nothing after most of them).
  double measured_us(int layer) const;
  std::vector<double> told_us(const Task& task) const;
  // The work in a task that took that long.
  double work(TimeUs takes) const { return static_cast<double>(takes) / slowness_; }

 private:
  double factor() const;
  TimeUs paced_us(double us);

  const RunSpec& spec_;
  Dice& dice_;
  int device_;
  int slowness_ = 1;
  LayerRange range_;  // since its last configuration
  bool defers_ = false;
};

}  // namespace ft::sim
