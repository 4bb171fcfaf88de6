#include "partition/speed.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace ft {
namespace {

// Fewer say nothing, but for a change.
constexpr size_t kSamplesMin = 16;
// So many samples in a row that are that far off, by so many times more than those before them
// scatter, and by more than so many pauses, are a change, not noise: older ones are forgotten.
constexpr size_t kRun = 4;
constexpr double kOff = 1.5;
constexpr double kScatters = 3;
constexpr double kPausesOff = 2;
// Batches in fewer pauses do not tell an elastic device's share.
constexpr double kPausesMin = 8;
// Busy all the time, so that its pauses show: with less to do it works off what it has saved.
constexpr double kLoaded = 0.95;
constexpr double kFaster = 0.85;
constexpr double kSurely = 3;
constexpr double kShift = 1.25;
// A measurement that is further off than that is doubted; one that is not counts so much.
constexpr double kFarOff = 1.25;
constexpr double kWeight = 0.25;
constexpr double kShareMin = 1e-3;
constexpr double kTimesMin = 1e-6;

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The standard deviation over the mean.
double relative_deviation(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return mean > 0 ? std::sqrt(squares / static_cast<double>(values.size())) / mean : 0;
}

bool is_shared(double share) { return share > 0 && share < kElasticShare; }

}  // namespace

void Speed::measured(const CpuMeasure& cpu) {
  share_ = cpu.share > 0 ? std::max(cpu.share, kShareMin) : 1;
  elastic_ = is_shared(cpu.share);
  pause_us_ = cpu.pause_us;
  byte_us_ = cpu.byte_us / share_;
  scatter_ = 0;
  doubted_ = Probe();
  times_ = level_ = cpu_ = 1;
  level_error_ = level_error_min();
  forget();
}

double Speed::level_of(const Probe& probe) const {
  return share_ / std::max(probe.share, kShareMin);
}

bool Speed::measured_again(double times, double share, double pause_us) {
  Probe probe{std::max(times, kTimesMin), share};
  const bool shared = is_shared(share);
  // How fast it calculates an elastic device's batches tell: in CPU time, and better. A probe that
  // had the CPU to itself tells all.
  if (elastic_ && shared) probe.times = level_of(probe);
  const double believed = elastic_ && shared ? level_ : times_;
  const double off = std::log(probe.times / believed);
  const bool comparable = is_doubted() && shared == is_shared(doubted_.share);
  const double off_before = comparable ? std::log(doubted_.times / believed) : 0;
  const bool far = std::abs(off) > std::log(kFarOff);
  if (far && off * off_before <= 0) {
    doubted_ = probe;
    return true;
  }
  // Both say so: the one that says less.
  if (far && std::abs(off_before) < std::abs(off)) probe = doubted_;
  doubted_ = Probe();
  // Of a device that trains the probes see few pauses, or none.
  if (pause_us > 0) pause_us_ += (far || pause_us_ <= 0 ? 1 : kWeight) * (pause_us - pause_us_);
  if (!far) {
    level_error_ = std::max((1 - kWeight) * level_error_, level_error_min());
    const double nearer = std::exp(kWeight * off);
    level_ = elastic_ ? level_ * nearer : believed * nearer;
  } else {
    // What is not its share is how fast it calculates.
    level_ = shared && !elastic_ ? level_of(probe) : probe.times;
    if (shared != elastic_) cpu_ = probe.times / level_;
    elastic_ = shared;
    scatter_ = 0;
    level_error_ = kElasticLooks * level_error_min();
    forget();
  }
  times_ = std::max(level_ * cpu_, kTimesMin);
  return false;
}

// By one pause more or less in the first look.
double Speed::level_error_min() const {
  return pause_us_ / 2 / (kElasticLooks * static_cast<double>(kCpuProbeUs));
}

void Speed::work_changed() {
  forget();
  new_work_ = true;
}

void Speed::forget() {
  samples_.clear();
  error_ = kErrorUnknown;
  changed_ = new_work_ = false;
}

void Speed::add(const BatchTimes& batch) {
  Sample sample;
  sample.wall = batch.wall_us / batch.expected_us;
  sample.cpu = batch.cpu_us / share_ / batch.expected_us;
  sample.besides = batch.besides_us / share_ / batch.expected_us;
  sample.byte_us = batch.besides_us / share_ / std::max(batch.bytes, 1.0);
  sample.busy_us = batch.busy_us;
  sample.passed_us = batch.passed_us;
  samples_.push_back(sample);
  if (samples_.size() > kSpeedSamples) samples_.pop_front();
  if (samples_.size() < kRun) return;
  const auto newest = samples_.end() - static_cast<std::ptrdiff_t>(kRun);
  const double pauses = elastic_ ? kPausesOff * pause_us_ / batch.expected_us : 0;
  const size_t before = samples_.size() - kRun;
  const double scatter = before < 2 * kRun ? 0 : relative_deviation(sorted(&Sample::wall, before));
  const double most = times_ * std::max(kOff, 1 + kScatters * scatter) + pauses;
  const double least = times_ * std::min(1 / kOff, 1 - kScatters * scatter);
  const bool slower = std::all_of(newest, samples_.end(),
                                  [most](const Sample& other) { return other.wall > most; });
  const bool faster = std::all_of(newest, samples_.end(),
                                  [least](const Sample& other) { return other.wall < least; });
  changed_ = slower || (!elastic_ && faster);
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
  const bool loaded = load() >= kLoaded;
  error_ = error_of(elastic_ ? &Sample::cpu : &Sample::wall);
  if (!elastic_ || loaded) scatter_ = relative_deviation(sorted(&Sample::wall));
  if (!elastic_ || taken <= 0) return;
  const double level = times_ / taken;
  const double wall_error = error_of(&Sample::wall);
  const double surely = level * (1 - (changed_ ? 0 : kSurely * wall_error));
  const bool long_enough = changed_ || passed_us() >= kPausesMin * pause_us_;
  if (long_enough && (loaded || surely > level_)) {
    level_ = level;
    level_error_ = std::max(wall_error, pause_us_ / 2 / passed_us());
  }
  cpu_ = mean(&Sample::cpu);
  times_ = std::max(level_ * cpu_, kTimesMin);
}

// Without the least and the greatest: one outlier changes nothing.
std::vector<double> Speed::sorted(double Sample::*what, size_t count) const {
  std::vector<double> values;
  for (size_t i = 0; i < std::min(count, samples_.size()); ++i) values.push_back(samples_[i].*what);
  std::sort(values.begin(), values.end());
  return {values.begin() + 1, values.end() - 1};
}

double Speed::mean(double Sample::*what) const { return mean_of(sorted(what)); }

// Part of the time that it was busy, in all.
double Speed::load() const {
  double busy_us = 0;
  for (const Sample& sample : samples_) busy_us += sample.busy_us;
  return busy_us / passed_us();
}

double Speed::passed_us() const {
  double passed_us = 0;
  for (const Sample& sample : samples_) passed_us += sample.passed_us;
  return passed_us;
}

double Speed::error_of(double Sample::*what) const {
  if (samples_.size() < kSamplesMin) return kErrorUnknown;
  const std::vector<double> values = sorted(what);
  std::vector<double> means;  // of kRun batches each, the oldest few left out
  size_t at = samples_.size() % kRun;
  while (at < samples_.size()) {
    double sum = 0;
    for (const size_t end = at + kRun; at < end; ++at) {
      sum += std::clamp(samples_[at].*what, values.front(), values.back());
    }
    means.push_back(sum / kRun);
  }
  return relative_deviation(means) / std::sqrt(static_cast<double>(means.size()));
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
