#include "partition/layer_mix.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "runtime/base/check.h"

namespace ft {
namespace {

constexpr size_t kSamples = 9;
// Fewer medians may be outliers.
constexpr size_t kSamplesMin = 3;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void LayerMix::add(std::vector<double> layer_us) {
  FT_CHECK(samples_.empty() || samples_[0].size() == layer_us.size());
  if (samples_.size() == kSamples) samples_.erase(samples_.begin());
  samples_.push_back(std::move(layer_us));
}

bool LayerMix::divide(double* layer_us) const {
  if (samples_.size() < kSamplesMin) return false;
  std::vector<double> parts;
  for (size_t layer = 0; layer < samples_[0].size(); ++layer) {
    std::vector<double> seen;
    for (const std::vector<double>& sample : samples_) seen.push_back(sample[layer]);
    parts.push_back(median(std::move(seen)));
  }
  const double known = std::accumulate(parts.begin(), parts.end(), 0.0);
  if (known <= 0) return false;
  const double whole = std::accumulate(layer_us, layer_us + parts.size(), 0.0);
  for (size_t layer = 0; layer < parts.size(); ++layer) {
    layer_us[layer] = whole * parts[layer] / known;
  }
  return true;
}

}  // namespace ft
