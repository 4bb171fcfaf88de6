#include "runtime/observe/loss_watch.h"

#include <algorithm>
#include <numeric>

namespace ft {
namespace {

constexpr double kLossMin = 1e-9;  // what is below is perfect; a factor of it says nothing

size_t batches_of(int64_t samples, int64_t batch_size, int64_t batches_min) {
  return static_cast<size_t>(std::max(batches_min, (samples + batch_size - 1) / batch_size));
}

double mean(const std::deque<double>& losses) {
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
}

}  // namespace

LossWatch::LossWatch(int64_t batch_size)
    : window_min_(batches_of(16, batch_size, 1)), window_max_(batches_of(256, batch_size, 32)) {
  rules_.push_back({batches_of(32, batch_size, 4), 10, 0.5, {}, {}});
  rules_.push_back({batches_of(16, batch_size, 1), 1e4, 10, {}, {}});
}

std::optional<LossGrowth> LossWatch::add(int64_t batch, double loss) {
  if (batch < next_ || told_) return std::nullopt;
  next_ = batch + 1;
  LossGrowth growth;
  for (Rule& rule : rules_) told_ = told_ || has_grown(&rule, batch, loss, &growth);
  if (!told_) return std::nullopt;
  return growth;
}

bool LossWatch::has_grown(Rule* rule, int64_t batch, double loss, LossGrowth* growth) const {
  rule->last.push_back(loss);
  if (rule->last.size() > rule->last_count) {
    rule->window.push_back(rule->last.front());
    rule->last.pop_front();
    if (rule->window.size() > window_max_) rule->window.pop_front();
    const bool is_long = rule->window.size() >= window_min_;
    const double now = is_long ? std::max(mean(rule->window), kLossMin) : 0;
    if (is_long && rule->best_at < 0) rule->beginning = now;
    if (is_long && (rule->best_at < 0 || now < rule->best)) {
      rule->best = now;
      rule->best_at = batch - static_cast<int64_t>(rule->last_count);
    }
  }
  if (rule->best_at < 0) return false;
  const double bound =
      std::max(rule->over_best * rule->best, rule->over_beginning * rule->beginning);
  const double smallest = *std::min_element(rule->last.begin(), rule->last.end());
  if (smallest <= bound) return false;
  *growth = {batch, rule->best_at, mean(rule->last) / rule->best};
  return true;
}

}  // namespace ft
