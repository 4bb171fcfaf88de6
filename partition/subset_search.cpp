#include "partition/subset_search.h"

#include <algorithm>
#include <bit>

#include "runtime/base/check.h"

namespace ft {
SubsetSearch::SubsetSearch(CostTable* table)
    : table_(table),
      devices_(table->devices()),
      layers_(table->layers()),
      stages_max_(table->devices()) {
  FT_CHECK(devices_ <= kExactDevices);
  const size_t rows = (size_t{1} << devices_) * static_cast<size_t>(devices_);
  latency_.resize(rows * cuts());
  span_.resize(rows);
  key_.resize(cuts());
  window_.resize(cuts());
  make_ahead();
}

void SubsetSearch::make_ahead() {
  ahead_us_.assign((size_t{1} << devices_) * cuts(), 0.0);
  for (Set set = 0; set < Set{1} << devices_; ++set) {
    double* ahead = ahead_us_.data() + set * cuts();
    for (int i = 0; i < layers_; ++i) {
      double fastest = kNever;
      for (int device = 0; device < devices_; ++device) {
        if ((set >> device & 1) != 0) continue;
        const std::vector<double>& before = table_->before(device);
        fastest =
            std::min(fastest, before[static_cast<size_t>(i) + 1] - before[static_cast<size_t>(i)]);
      }
      ahead[i + 1] = ahead[i] + fastest;
    }
  }
}

double SubsetSearch::probe(double limit_us, double latency_us_max) {
  limit_us_ = limit_us;
  total_us_max_ = latency_us_max + table_->rounding_us();
  by_stages_.assign(static_cast<size_t>(devices_) + 1, kNever);
  for (Set set = 1; set < Set{1} << devices_; ++set) {  // parts of a set come before it
    const auto stages = static_cast<size_t>(std::popcount(set));
    if (static_cast<int>(stages) > stages_max_) continue;
    for (int front = 0; front < devices_; ++front) {
      if ((set >> front & 1) == 0) continue;
      extend(set, front);
      if (span(set, front).last < 0 || span(set, front).first > 0) continue;
      if (table_->input_peak_us(front) > limit_us) continue;
      by_stages_[stages] = std::min(by_stages_[stages], row(set, front)[0] + input_us(front));
    }
  }
  return *std::min_element(by_stages_.begin(), by_stages_.end());
}

int SubsetSearch::stages_min(double latency_us_max) const {
  const auto fewest = std::find_if(by_stages_.begin(), by_stages_.end(), [&](double us) {
    return us <= latency_us_max + table_->rounding_us();
  });
  FT_CHECK(fewest != by_stages_.end());
  return static_cast<int>(fewest - by_stages_.begin());
}

// What the model's input adds to latency.
double SubsetSearch::input_us(int front) const {
  return table_->request().sync ? table_->input_sum_us(front) : 0;
}

void SubsetSearch::extend(Set set, int front) {
  const int stages = std::popcount(set);
  const CutSpan keys = collect_key(set, front);
  FrontStage stage(table_, front, stages);
  stage.limit_us = limit_us_;
  stage.latency_us_max = table_->request().sync ? kNoLimit : stages * limit_us_;
  stage.ahead_us = ahead_us_.data() + set * cuts();
  stage.total_us_max = total_us_max_;
  stage.first_max = last_first_layer(set);
  span_[set * static_cast<size_t>(devices_) + static_cast<size_t>(front)] =
      put_in_front(stage, key_.data(), keys, row(set, front), window_.data());
}

// The best suffix behind each cut, whoever of the rest of the set is its front.
CutSpan SubsetSearch::collect_key(Set set, int front) {
  const double* end = table_->end_us(front).data();
  const Set rest = set & ~(Set{1} << front);
  CutSpan keys;
  if (rest == 0) {  // behind the last stage is nothing
    keys.first = keys.last = layers_;
    key_[static_cast<size_t>(layers_)] = end[layers_];
    return keys;
  }
  keys.first = layers_;
  for (int next = 0; next < devices_; ++next) {
    if ((rest >> next & 1) == 0 || span(rest, next).last < 0) continue;
    keys.first = std::min(keys.first, span(rest, next).first);
    keys.last = std::max(keys.last, span(rest, next).last);
  }
  keys.first = std::max(keys.first, 1);  // a range has a layer
  double* key = key_.data();
  for (int j = keys.first; j <= keys.last; ++j) key[j] = kNever;
  for (int next = 0; next < devices_; ++next) {
    if ((rest >> next & 1) == 0) continue;
    const LinkTimes& link = table_->link(front, next);
    const double* sum = link.sum_us.data();
    const double* peak = link.peak_us.data();
    const double* suffix = row(rest, next);
    const double limit = limit_us_;
    const int last = span(rest, next).last;
    for (int j = std::max(span(rest, next).first, 1); j <= last; ++j) {
      const double latency = peak[j] <= limit ? suffix[j] + sum[j] : kNever;
      key[j] = latency < key[j] ? latency : key[j];
    }
  }
  for (int j = keys.first; j <= keys.last; ++j) key[j] += end[j];
  return keys;
}

double SubsetSearch::slowest_us() {
  Suffix suffix = least_whole();
  double slowest = table_->input_peak_us(suffix.front);
  while (suffix.first < layers_) {
    const Suffix behind = least_behind(suffix);
    slowest = std::max(slowest, table_->compute_us(suffix.front, {suffix.first, behind.first}));
    if (behind.first < layers_) {
      const std::vector<double>& peak = table_->link(suffix.front, behind.front).peak_us;
      slowest = std::max(slowest, peak[static_cast<size_t>(behind.first)]);
    }
    suffix = behind;
  }
  return slowest;
}

// The suffix that is the whole model, of the least latency.
SubsetSearch::Suffix SubsetSearch::least_whole() const {
  Suffix least;
  double least_us = kNever;
  for (Set set = 1; set < Set{1} << devices_; ++set) {
    if (std::popcount(set) > stages_max_) continue;
    for (int front = 0; front < devices_; ++front) {
      if ((set >> front & 1) == 0 || table_->input_peak_us(front) > limit_us_) continue;
      if (span(set, front).last < 0 || span(set, front).first > 0) continue;
      const double us = row(set, front)[0] + input_us(front);
      if (us >= least_us) continue;
      least_us = us;
      least = {set, front, 0};
    }
  }
  FT_CHECK(least_us < kNever);
  return least;
}

// What is behind the first stage of a suffix in the table; behind the last one, the model's end.
SubsetSearch::Suffix SubsetSearch::least_behind(const Suffix& suffix) const {
  const Set rest = suffix.set & ~(Set{1} << suffix.front);
  if (rest == 0) return {0, 0, layers_};
  const int stages = std::popcount(suffix.set);
  const int end = table_->range_end(suffix.front, stages)[static_cast<size_t>(suffix.first)];
  Suffix least;
  double least_us = kNever;
  for (int next = 0; next < devices_; ++next) {
    if ((rest >> next & 1) == 0) continue;
    const LinkTimes& link = table_->link(suffix.front, next);
    const int last = std::min(span(rest, next).last, end);
    for (int j = std::max(span(rest, next).first, suffix.first + 1); j <= last; ++j) {
      const double compute_us = table_->compute_us(suffix.front, {suffix.first, j});
      if (compute_us > limit_us_) continue;
      if (link.peak_us[static_cast<size_t>(j)] > limit_us_) continue;
      const double us = compute_us + link.sum_us[static_cast<size_t>(j)] + row(rest, next)[j];
      if (us >= least_us) continue;
      least_us = us;
      least = {rest, next, j};
    }
  }
  FT_CHECK(least_us < kNever);
  return least;
}

// The layers in front of a suffix are for the devices that it does not use: they need no more than
// those can do within the limit each, at their greatest speed.
int SubsetSearch::last_first_layer(Set set) const {
  double speeds = 0;
  for (int device = 0; device < devices_; ++device) {
    if ((set >> device & 1) == 0) speeds += table_->speed(device);
  }
  const std::vector<double>& work = table_->work_before();
  const double work_max = limit_us_ * speeds + table_->rounding_us();
  return static_cast<int>(std::upper_bound(work.begin(), work.end(), work_max) - work.begin()) - 1;
}

}  // namespace ft
