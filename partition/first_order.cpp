// SubsetSearch::first_order: reads the first order off the table of a probe, from the first stage
// to the last. What the stages so far have left over for the suffix behind each cut is one number,
// the greater the better; a device may come next if some suffix that it leads keeps within it.

#include <algorithm>
#include <bit>

#include "partition/subset_search.h"
#include "runtime/base/check.h"

namespace ft {
namespace {

constexpr double kNothing = -kNever;

}  // namespace

// By cut: the latency left for the suffix that begins there, behind `device`, whose own suffix has
// `stages` stages and may begin at layer i with the latency left[i].
std::vector<double> SubsetSearch::left_behind(int device, int stages,
                                              const std::vector<double>& left) const {
  const std::vector<int>& range_end = table_->range_end(device, stages);
  std::vector<double> behind(left.size(), kNothing);
  for (int i = 0; i < layers_; ++i) {
    double latency = left[static_cast<size_t>(i)];
    if (!table_->request().sync) latency = std::min(latency, stages * limit_us_);
    if (latency == kNothing) continue;
    for (int j = i + 1; j <= range_end[static_cast<size_t>(i)]; ++j) {
      const double us = table_->compute_us(device, {i, j});
      if (us > limit_us_) continue;
      behind[static_cast<size_t>(j)] = std::max(behind[static_cast<size_t>(j)], latency - us);
    }
  }
  return behind;
}

bool SubsetSearch::leads(int device, int stages, Set used, const std::vector<double>& left) const {
  const double rounding_us = table_->rounding_us();
  for (Set set = 1; set < Set{1} << devices_; ++set) {
    if ((set & used) != 0 || (set >> device & 1) == 0 || std::popcount(set) != stages) continue;
    const double* latency = row(set, device);
    for (int i = span(set, device).first; i <= span(set, device).last; ++i) {
      if (latency[i] <= left[static_cast<size_t>(i)] + rounding_us) return true;
    }
  }
  return false;
}

std::vector<int> SubsetSearch::first_order(int stages, double latency_us_max) const {
  std::vector<int> order;
  std::vector<double> behind;
  Set used = 0;
  while (static_cast<int>(order.size()) < stages) {
    const int stages_left = stages - static_cast<int>(order.size());
    bool found = false;
    for (int next = 0; next < devices_ && !found; ++next) {
      if ((used >> next & 1) != 0) continue;
      std::vector<double> left(cuts(), kNothing);
      if (!order.empty()) {
        const LinkTimes& link = table_->link(order.back(), next);
        for (size_t j = 0; j < cuts(); ++j) {
          if (link.peak_us[j] <= limit_us_) left[j] = behind[j] - link.sum_us[j];
        }
      } else if (table_->input_peak_us(next) <= limit_us_) {
        left[0] = latency_us_max - input_us(next);
      }
      if (!leads(next, stages_left, used, left)) continue;
      found = true;
      order.push_back(next);
      used |= Set{1} << next;
      behind = left_behind(next, stages_left, left);
    }
    FT_CHECK(found);
  }
  return order;
}

}  // namespace ft
