#pragma once

// Pace: what a simulated device takes for its work where a run is about speed: the layers of a real
// model on devices of given speeds. Virtual time, so a figure is exact, repeats, and has none of
// what a shared machine adds; in exchange a layer takes the same time on whatever device and in
// whatever company, and transport costs no CPU.

#include <limits>
#include <string>
#include <vector>

#include "partition/planner.h"
#include "runtime/base/clock.h"
#include "runtime/pipeline/step.h"

namespace ft::sim {

// Part of each period that a device gets of its CPU; from 1 on: all of it.
struct CpuQuota {
  double share = 1;
  TimeUs period_us = 0;
  TimeUs phase_us = 0;  // how far the first period is when time begins
};

struct Pace {
  // Of each layer: forward, backward and step of a batch at speed 1, microseconds. Empty: this run
  // is not about speed.
  std::vector<double> layer_us;
  std::vector<LayerSize> sizes;
  std::vector<CutSize> cuts;
  std::vector<double> speeds;    // of each device, central first
  std::vector<CpuQuota> quotas;  // likewise; fewer: others have none
  std::vector<int64_t> rates;    // bytes/s of each device's network; fewer: others have no limit
  double scatter = 0;            // each task takes up to that much more or less, relative

  bool empty() const { return layer_us.empty(); }
  template <typename T>
  static T at(const std::vector<T>& values, int device, T other) {
    const auto index = static_cast<size_t>(device);
    return index < values.size() ? values[index] : other;
  }
  double speed(int device) const { return at(speeds, device, 1.0); }
  CpuQuota quota(int device) const { return at(quotas, device, CpuQuota()); }
  int64_t rate(int device) const { return at(rates, device, std::numeric_limits<int64_t>::max()); }
};

// Layers of a file like mobilenetv2.txt. Without the file the program ends.
Pace read_pace(const std::string& path);

// What a task keeps a device from the next one: until its result is there, and after that. A
// backward pass of a stage that another one waits for first makes that one's gradients.
struct TaskTime {
  TimeUs result_us = 0;
  TimeUs rest_us = 0;
};

// Of a forward pass, a backward pass or a step of these layers, at speed 1. `defers`: as in
// runtime/pipeline/schedule.h.
TaskTime paced_time(const Pace& pace, TaskKind kind, const LayerRange& range, bool defers);

}  // namespace ft::sim
