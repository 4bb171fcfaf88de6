#include "partition/speed.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace ft {
namespace {

constexpr size_t kSamples = 32;
// Fewer say nothing, but for a change.
constexpr size_t kSamplesMin = 16;
// So many samples in a row that are that far off are a change, not noise: older ones are forgotten.
constexpr size_t kRun = 4;
constexpr double kOff = 1.5;
// Busy all the time, so that its pauses show: with less to do it works off what it has saved.
constexpr double kLoaded = 0.95;
constexpr double kFaster = 0.85;
constexpr double kUnexplained = 1.25;
constexpr double kShift = 1.25;
constexpr double kErrorUnknown = 0.05;
constexpr double kShareMin = 1e-3;
constexpr double kTimesMin = 1e-6;

}  // namespace

void Speed::measured(double share) {
  share_ = share > 0 ? std::max(share, kShareMin) : 1;
  byte_us_ = 0;
  scatter_ = 0;
  measured_again(1, share_);
}

void Speed::measured_again(double times, double share) {
  work_changed();
  new_work_ = false;
  times_ = level_ = std::max(times, kTimesMin);
  elastic_ = share > 0 && share < kElasticShare;
}

void Speed::work_changed() {
  samples_.clear();
  changed_ = false;
  new_work_ = true;
}

void Speed::add(const BatchTimes& batch) {
  Sample sample;
  sample.wall = batch.wall_us / batch.expected_us;
  sample.cpu = batch.cpu_us / share_ / batch.expected_us;
  sample.besides = batch.besides_us / share_ / batch.expected_us;
  sample.byte_us = batch.besides_us / share_ / std::max(batch.bytes, 1.0);
  sample.load = batch.load;
  samples_.push_back(sample);
  if (samples_.size() > kSamples) samples_.pop_front();
  if (samples_.size() < kRun) return;
  const auto newest = samples_.end() - static_cast<std::ptrdiff_t>(kRun);
  const auto all_off = [&](bool slower) {
    return std::all_of(newest, samples_.end(), [&](const Sample& other) {
      return slower ? other.wall > kOff * times_ : other.wall < times_ / kOff;
    });
  };
  changed_ = all_off(true) || (!elastic_ && all_off(false));
  if (changed_) samples_.erase(samples_.begin(), newest);
  if (!tells()) return;
  estimate();
  if (new_work_) told_ = times_;
  new_work_ = false;
}

bool Speed::tells() const { return changed_ || samples_.size() >= kSamplesMin; }

void Speed::estimate() {
  times_ = std::max(mean(&Sample::wall), kTimesMin);
  byte_us_ = mean(&Sample::byte_us);
  const double taken = mean(&Sample::cpu) + mean(&Sample::besides);
  const bool loaded = mean(&Sample::load) >= kLoaded;
  scatter_ = scatter(elastic_ && !loaded ? &Sample::cpu : &Sample::wall);
  if (!elastic_ || taken <= 0) return;
  const double level = times_ / taken;
  if (loaded || level > kUnexplained * level_) level_ = level;
  times_ = std::max(level_ * mean(&Sample::cpu), kTimesMin);
}

// Without the least and the greatest: one outlier changes nothing.
std::vector<double> Speed::sorted(double Sample::*what) const {
  std::vector<double> values;
  for (const Sample& sample : samples_) values.push_back(sample.*what);
  std::sort(values.begin(), values.end());
  return {values.begin() + 1, values.end() - 1};
}

double Speed::mean(double Sample::*what) const {
  const std::vector<double> values = sorted(what);
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Relative standard deviation.
double Speed::scatter(double Sample::*what) const {
  const std::vector<double> values = sorted(what);
  const double middle = mean(what);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return middle > 0 ? std::sqrt(squares / static_cast<double>(values.size())) / middle : 0;
}

double Speed::error() const {
  if (!tells()) return kErrorUnknown;
  return scatter_ / std::sqrt(static_cast<double>(samples_.size()));
}

bool Speed::looks_faster() const {
  if (!elastic_ || !tells()) return false;
  const double taken = mean(&Sample::cpu) + mean(&Sample::besides);
  return mean(&Sample::wall) < kFaster * level_ * taken;
}

double Speed::take_shift() {
  const double shift = std::max(times_ / told_, told_ / times_);
  if (shift < kShift) return 1;
  told_ = times_;
  return shift;
}

}  // namespace ft
