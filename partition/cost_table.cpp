#include "partition/cost_table.h"

#include <algorithm>
#include <cmath>

#include "partition/range_memory.h"
#include "runtime/base/check.h"

namespace ft {
namespace {

constexpr double kRounding = 1e-12;  // some thousand additions of 2^-53 each

}  // namespace

CostTable::CostTable(const PlanRequest& request)
    : request_(request),
      layers_(static_cast<int>(request.layers.size())),
      devices_(static_cast<int>(request.devices.size())) {
  FT_CHECK(layers_ > 0 && devices_ > 0 && request.micro_batches > 0);
  FT_CHECK(request.cuts.size() == request.layers.size());
  FT_CHECK(request.links.empty() || request.links.size() == request.devices.size());
  std::vector<double> fastest(index(layers_), kNever);
  for (const DeviceCost& device : request.devices) {
    FT_CHECK(device.layer_us.size() == request.layers.size());
    FT_CHECK(std::isfinite(device.byte_us) && device.byte_us >= 0);
    FT_CHECK(std::isfinite(device.pauses_us) && device.pauses_us >= 0);
    std::vector<double> before(index(layers_) + 1, 0.0);
    for (size_t i = 0; i < fastest.size(); ++i) {
      FT_CHECK(std::isfinite(device.layer_us[i]) && device.layer_us[i] >= 0);
      before[i + 1] = before[i] + device.layer_us[i];
      fastest[i] = std::min(fastest[i], device.layer_us[i]);
    }
    const double fixed_us =
        device.byte_us * static_cast<double>(request.messages_bytes) + device.pauses_us;
    begin_us_.push_back(before);
    end_us_.push_back(before);
    for (size_t i = 0; i < fastest.size(); ++i) {
      const double crossing = device.byte_us * static_cast<double>(request.cuts[i].bytes());
      begin_us_.back()[i] -= crossing + fixed_us;
      end_us_.back()[i] += crossing;
    }
    before_.push_back(std::move(before));
    const std::vector<double>& ends = end_us_.back();
    const double most_us = *std::max_element(ends.begin(), ends.end()) + fixed_us;
    rounding_us_ = std::max(rounding_us_, kRounding * most_us);
  }
  work_before_.assign(1, 0.0);
  for (const double us : fastest) work_before_.push_back(work_before_.back() + us);
  for (const DeviceCost& device : request.devices) {
    double speed = 0;
    for (size_t i = 0; i < fastest.size(); ++i) {
      speed =
          std::max(speed, fastest[i] < device.layer_us[i] ? fastest[i] / device.layer_us[i] : 1);
    }
    speed_.push_back(speed);
  }
  links_.resize(index(devices_) * index(devices_));
  range_end_.resize(index(devices_) * index(devices_ + 1));
}

double CostTable::slowest_stage_us_min() const {
  double speeds = 0;
  for (const double speed : speed_) speeds += speed;
  double least = work_before_.back() / speeds;
  for (size_t i = 1; i < work_before_.size(); ++i) {
    least = std::max(least, work_before_[i] - work_before_[i - 1]);
  }
  return least;
}

const LinkTimes& CostTable::link(int front, int back) {
  LinkTimes& times = links_[index(front) * index(devices_) + index(back)];
  if (!times.sum_us.empty()) return times;
  times.sum_us.assign(index(layers_) + 1, kNever);
  times.peak_us = times.sum_us;
  if (request_.unreachable.count(std::minmax(front, back)) != 0) return times;
  const bool free = request_.links.empty();
  const LinkCost there = free ? LinkCost() : request_.links[index(front)][index(back)];
  const LinkCost here = free ? LinkCost() : request_.links[index(back)][index(front)];
  for (size_t i = 0; i < index(layers_); ++i) {
    const double forward = there.time_us(request_.cuts[i].forward_bytes);
    const double gradient = here.time_us(request_.cuts[i].gradient_bytes);
    times.sum_us[i] = forward + gradient;
    times.peak_us[i] = std::max(forward, gradient);
  }
  return times;
}

const std::vector<int>& CostTable::range_end(int device, int in_flight) {
  FT_CHECK(in_flight > 0 && in_flight <= devices_);
  std::vector<int>& ends = range_end_[index(device) * index(devices_ + 1) + index(in_flight)];
  if (ends.empty()) {
    ends = range_ends(request_, request_.devices[index(device)].memory_bytes, in_flight);
  }
  return ends;
}

}  // namespace ft
