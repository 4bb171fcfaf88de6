#include "runtime/pipeline/plan_report.h"

#include <set>

namespace ft {

PlanReport report_of(const PlanRequest& request, const Plan& plan, int64_t batch_size) {
  PlanReport report;
  std::set<int> used;
  for (const PlannedStage& stage : plan.stages) {
    used.insert(stage.device);
    PlannedDevice device;
    device.name = request.devices[static_cast<size_t>(stage.device)].name;
    device.range = stage.range;
    device.compute_us = stage.compute_us * request.micro_batches;
    device.transfer_us = (stage.input_us + stage.gradient_us) * request.micro_batches;
    device.memory_bytes = stage.memory_bytes;
    report.devices.push_back(device);
  }
  for (size_t i = 0; i < request.devices.size(); ++i) {
    if (used.count(static_cast<int>(i)) != 0) continue;
    PlannedDevice device;
    device.name = request.devices[i].name;
    report.devices.push_back(device);
  }
  report.batch_us = plan.batch_us;
  report.images_per_second = 1e6 * static_cast<double>(batch_size) / plan.batch_us;
  report.bottleneck = plan.bottleneck;
  return report;
}

}  // namespace ft
