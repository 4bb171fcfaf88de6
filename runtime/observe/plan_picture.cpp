#include "runtime/observe/plan_picture.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/status.h"

namespace ft {
namespace {

constexpr int kBarCells = 24;
constexpr size_t kNameColumnsMax = 24;

std::string bar_of(double part) {
  const int cells = std::clamp(static_cast<int>(std::lround(part * kBarCells)), 0, kBarCells);
  return std::string(static_cast<size_t>(cells), '#') +
         std::string(static_cast<size_t>(kBarCells - cells), '.');
}

}  // namespace

std::string plan_picture(const PlanReport& plan) {
  size_t columns = 6;
  for (const PlannedDevice& device : plan.devices) {
    columns = std::clamp(device.name.size(), columns, kNameColumnsMax);
  }
  std::string text;
  for (const PlannedDevice& device : plan.devices) {
    const std::string name = device.name.substr(0, kNameColumnsMax);
    text += format("  %-*s ", static_cast<int>(columns), name.c_str());
    if (device.range.count() == 0) {
      text += "no layers: holds replicas\n";
      continue;
    }
    text += format("[%3d, %3d) %s %7.1f ms a batch, %.1f ms in transit, %.0f MiB\n",
                   device.range.first, device.range.last,
                   bar_of(device.compute_us / plan.batch_us).c_str(), device.compute_us / 1e3,
                   device.transfer_us / 1e3, static_cast<double>(device.memory_bytes) / (1 << 20));
  }
  text +=
      format("  a batch in %.1f ms: %.0f images/s", plan.batch_us / 1e3, plan.images_per_second);
  if (plan.images_per_second_before > 0) {
    text += format(" instead of %.0f", plan.images_per_second_before);
  }
  return text + "; the limit is " + plan.bottleneck + "\n";
}

}  // namespace ft
