#include "partition/speed.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace ft {
namespace {

constexpr size_t kSamples = 32;
// Fewer say nothing, but for a change.
constexpr size_t kSamplesMin = 8;
// So many samples in a row that are that far off are a change, not noise: older ones are forgotten.
constexpr size_t kRun = 4;
constexpr double kOff = 1.5;
constexpr double kLoaded = 0.8;
constexpr double kFaster = 0.85;
constexpr double kShift = 1.25;

}  // namespace

void Speed::measured(double times, bool elastic) {
  forget_batches();
  times_ = times;
  elastic_ = elastic;
}

void Speed::forget_batches() {
  samples_.clear();
  changed_ = false;
}

void Speed::add(double times, double load) {
  samples_.push_back({times, load});
  if (samples_.size() > kSamples) samples_.pop_front();
  if (samples_.size() < kRun) return;
  const auto newest = samples_.end() - static_cast<std::ptrdiff_t>(kRun);
  const auto all_off = [&](bool slower) {
    return std::all_of(newest, samples_.end(), [&](const Sample& sample) {
      return slower ? sample.times > kOff * times_ : sample.times < times_ / kOff;
    });
  };
  changed_ = all_off(true) || all_off(false);
  if (changed_) samples_.erase(samples_.begin(), newest);
  const double now = seen();
  if (now > times_ || !elastic_ || this->load() >= kLoaded) times_ = now;
}

double Speed::seen() const { return changed_ || samples_.size() >= kSamplesMin ? mean() : times_; }

// Without the least and the greatest: one outlier changes nothing.
double Speed::mean() const {
  std::vector<double> sorted;
  for (const Sample& sample : samples_) sorted.push_back(sample.times);
  std::sort(sorted.begin(), sorted.end());
  double sum = 0;
  for (size_t i = 1; i + 1 < sorted.size(); ++i) sum += sorted[i];
  return sum / static_cast<double>(sorted.size() - 2);
}

double Speed::load() const {
  double sum = 0;
  for (const Sample& sample : samples_) sum += sample.load;
  return sum / static_cast<double>(samples_.size());
}

bool Speed::looks_faster() const { return seen() < kFaster * times_; }

bool Speed::take_shift() {
  const double ratio = times_ / told_;
  if (ratio < kShift && ratio > 1 / kShift) return false;
  told_ = times_;
  return true;
}

}  // namespace ft
