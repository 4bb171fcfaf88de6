#include "partition/no_fit.h"

#include <algorithm>

namespace ft {
namespace {

std::string mib(int64_t bytes) {
  if (bytes == std::numeric_limits<int64_t>::max()) return "no limit";
  return format("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

Status no_fit_error(const PlanRequest& request) {
  const int layers = static_cast<int>(request.layers.size());
  int64_t device_bytes_max = 0;
  std::string devices;
  for (const DeviceCost& device : request.devices) {
    device_bytes_max = std::max(device_bytes_max, device.memory_bytes);
    devices += (devices.empty() ? "" : ", ") + device.name + " " + mib(device.memory_bytes);
  }
  int largest = 0;
  for (int i = 1; i < layers; ++i) {
    const auto bytes = [&request](int layer) {
      return range_memory_bytes(request, {layer, layer + 1}, 1);
    };
    if (bytes(i) > bytes(largest)) largest = i;
  }
  const int64_t largest_bytes = range_memory_bytes(request, {largest, largest + 1}, 1);
  // Splitting only adds: older versions for what is in flight, scratch and messages.
  const int64_t whole_bytes = range_memory_bytes(request, {0, layers}, 1);
  std::string text = format("the model fits no choice of devices: it needs %s in total at least",
                            mib(std::max(whole_bytes, largest_bytes)).c_str());
  if (largest_bytes > device_bytes_max) {
    text += format(", %s of it for layer %d alone", mib(largest_bytes).c_str(), largest);
  }
  text += "; memory for layers, beside the program and the model file: " + devices;
  for (const auto& [a, b] : request.unreachable) {
    text += format("; %s and %s cannot reach each other",
                   request.devices[static_cast<size_t>(a)].name.c_str(),
                   request.devices[static_cast<size_t>(b)].name.c_str());
  }
  return invalid_error("%s. %s or memory, or take a smaller batch or more micro-batches.",
                       text.c_str(),
                       request.unreachable.empty() ? "Add a device" : "Add a device, a connection");
}

}  // namespace ft
