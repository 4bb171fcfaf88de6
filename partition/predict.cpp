// The model of planner.h for a given plan: its times and what limits it.

#include <algorithm>

#include "partition/planner.h"
#include "runtime/base/check.h"

namespace ft {
namespace {

const LinkCost& link_between(const PlanRequest& request, int from, int to) {
  static const LinkCost kFree;
  if (request.links.empty()) return kFree;
  return request.links[static_cast<size_t>(from)][static_cast<size_t>(to)];
}

const std::string& name_of(const PlanRequest& request, int device) {
  return request.devices[static_cast<size_t>(device)].name;
}

// Keeps the greatest time and what takes it; of equal ones the first.
struct Slowest {
  double us = -1;
  std::string what;
  void offer(double other_us, const std::string& other) {
    if (other_us > us) {
      us = other_us;
      what = other;
    }
  }
};

Slowest slowest_element(const PlanRequest& request, const std::vector<PlannedStage>& stages) {
  Slowest slowest;
  for (const PlannedStage& stage : stages) {
    slowest.offer(stage.compute_us, "compute of " + name_of(request, stage.device));
  }
  int previous = 0;
  for (const PlannedStage& stage : stages) {
    const std::string& front = name_of(request, previous);
    const std::string& back = name_of(request, stage.device);
    slowest.offer(stage.input_us, "link " + front + " -> " + back);
    slowest.offer(stage.gradient_us, "link " + back + " -> " + front);
    previous = stage.device;
  }
  return slowest;
}

}  // namespace

int64_t bytes_at_cuts(const std::vector<CutSize>& cuts, const LayerRange& range) {
  const int64_t bytes = cuts[static_cast<size_t>(range.first)].bytes();
  const auto last = static_cast<size_t>(range.last);
  return last < cuts.size() ? bytes + cuts[last].bytes() : bytes;
}

Plan predict(const PlanRequest& request, const std::vector<int>& devices,
             const std::vector<LayerRange>& ranges) {
  FT_CHECK(!devices.empty() && devices.size() == ranges.size());
  Plan plan;
  const int stages = static_cast<int>(devices.size());
  for (int s = 0; s < stages; ++s) {
    PlannedStage stage;
    stage.device = devices[static_cast<size_t>(s)];
    stage.range = ranges[static_cast<size_t>(s)];
    FT_CHECK(stage.range.count() > 0);
    const DeviceCost& device = request.devices[static_cast<size_t>(stage.device)];
    for (int i = stage.range.first; i < stage.range.last; ++i) {
      stage.compute_us += device.layer_us[static_cast<size_t>(i)];
    }
    const int64_t bytes = bytes_at_cuts(request.cuts, stage.range) + request.messages_bytes;
    stage.compute_us += device.byte_us * static_cast<double>(bytes) + device.pauses_us;
    const int previous = s == 0 ? 0 : devices[static_cast<size_t>(s - 1)];
    if (stage.device != previous) {
      const CutSize& cut = request.cuts[static_cast<size_t>(stage.range.first)];
      stage.input_us = link_between(request, previous, stage.device).time_us(cut.forward_bytes);
      stage.gradient_us = link_between(request, stage.device, previous).time_us(cut.gradient_bytes);
    }
    stage.memory_bytes = range_memory_bytes(request, stage.range, stages - s) +
                         request.devices[static_cast<size_t>(stage.device)].process_bytes;
    plan.stages.push_back(stage);
  }

  Slowest slowest = slowest_element(request, plan.stages);
  double latency_us = 0;  // from this stage to the end and back
  for (int s = stages - 1; s >= 0; --s) {
    const PlannedStage& stage = plan.stages[static_cast<size_t>(s)];
    latency_us += stage.compute_us;
    if (!request.sync) {
      slowest.offer(latency_us / (stages - s), "round trip from " + name_of(request, stage.device));
    }
    latency_us += stage.input_us + stage.gradient_us;
  }
  plan.bottleneck = slowest.what;
  plan.batch_us = slowest.us;
  if (request.sync) plan.batch_us = (request.micro_batches - 1) * slowest.us + latency_us;
  return plan;
}

}  // namespace ft
