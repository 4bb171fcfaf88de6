#include "partition/order_search.h"

#include <algorithm>

#include "partition/limit_search.h"
#include "runtime/base/check.h"

namespace ft {

OrderSearch::OrderSearch(CostTable* table) : table_(table), layers_(table->layers()) {
  key_.resize(cuts());
  window_.resize(cuts());
  ahead_us_.assign(cuts(), 0.0);
}

void OrderSearch::set_order(const std::vector<int>& order) {
  FT_CHECK(!order.empty());
  order_ = order;
  latency_.resize(order.size() * cuts());
  span_.resize(order.size());
}

double OrderSearch::probe(double limit_us, double latency_us_max) {
  limit_us_ = limit_us;
  if (table_->input_peak_us(order_[0]) > limit_us) return kNever;
  steps_ += static_cast<int64_t>(order_.size()) * layers_;
  const bool sync = table_->request().sync;
  for (size_t s = order_.size(); s-- > 0;) {
    const int stages = static_cast<int>(order_.size() - s);
    FrontStage stage(table_, order_[s], stages);
    stage.limit_us = limit_us;
    stage.latency_us_max = sync ? kNoLimit : stages * limit_us;
    stage.ahead_us = ahead_us_.data();
    stage.total_us_max = latency_us_max + table_->rounding_us();
    stage.first_max = s == 0 ? 0 : layers_ - 1;
    span_[s] = put_in_front(stage, key_.data(), collect_key(s), row(s), window_.data());
    if (span_[s].last < 0) return kNever;
  }
  if (span_[0].first > 0) return kNever;
  return row(0)[0] + (sync ? table_->input_sum_us(order_[0]) : 0);
}

CutSpan OrderSearch::collect_key(size_t stage) {
  const double* end = table_->end_us(order_[stage]).data();
  if (stage + 1 == order_.size()) {  // behind the last stage is nothing
    key_[static_cast<size_t>(layers_)] = end[layers_];
    return {layers_, layers_};
  }
  const LinkTimes& link = table_->link(order_[stage], order_[stage + 1]);
  const double* sum = link.sum_us.data();
  const double* peak = link.peak_us.data();
  const double* suffix = row(stage + 1);
  const double limit = limit_us_;
  const CutSpan keys{std::max(span_[stage + 1].first, 1), span_[stage + 1].last};
  for (int j = keys.first; j <= keys.last; ++j) {
    key_[static_cast<size_t>(j)] = peak[j] <= limit ? suffix[j] + sum[j] + end[j] : kNever;
  }
  return keys;
}

std::vector<LayerRange> OrderSearch::ranges() {
  std::vector<LayerRange> ranges;
  int first = 0;
  for (size_t s = 0; s < order_.size(); ++s) {
    const CutSpan keys = collect_key(s);
    const int end = table_->range_end(
        order_[s], static_cast<int>(order_.size() - s))[static_cast<size_t>(first)];
    int best = -1;
    for (int j = std::max(keys.first, first + 1); j <= std::min(keys.last, end); ++j) {
      const size_t at = static_cast<size_t>(j);
      if (table_->compute_us(order_[s], {first, j}) > limit_us_) continue;
      if (key_[at] < kNever && (best < 0 || key_[at] < key_[static_cast<size_t>(best)])) best = j;
    }
    FT_CHECK(best > 0);
    ranges.push_back({first, best});
    first = best;
  }
  return ranges;
}

double OrderSearch::slowest_us() {
  double slowest = table_->input_peak_us(order_[0]);
  const std::vector<LayerRange> stages = ranges();
  for (size_t s = 0; s < stages.size(); ++s) {
    slowest = std::max(slowest, table_->compute_us(order_[s], stages[s]));
    if (s == 0) continue;
    const std::vector<double>& peak = table_->link(order_[s - 1], order_[s]).peak_us;
    slowest = std::max(slowest, peak[static_cast<size_t>(stages[s].first)]);
  }
  return slowest;
}

std::vector<LayerRange> best_ranges(CostTable* table, const std::vector<int>& order) {
  OrderSearch search(table);
  search.set_order(order);
  const auto found = search_limit(*table, any_plan(*table), &search);
  FT_CHECK(found.has_value());
  search.probe(found->limit_us, found->latency_us_max);
  return search.ranges();
}

}  // namespace ft
