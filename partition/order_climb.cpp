#include "partition/order_climb.h"

#include <algorithm>
#include <numeric>

#include "partition/limit_search.h"
#include "partition/order_search.h"

namespace ft {
namespace {

constexpr double kClimbGap = 2e-3;       // a change that gains less is not worth its search
constexpr int64_t kStepsMax = 20000000;  // stages * layers of a climb's probes: some 0.1 s on a PC

// The devices by falling `merit`; of equal ones the first to join comes first.
template <typename Merit>
std::vector<int> sorted_by(int devices, Merit merit) {
  std::vector<int> order(static_cast<size_t>(devices));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&merit](int a, int b) { return merit(a) > merit(b); });
  return order;
}

// From central always to the device with the best link.
std::vector<int> nearest_first(CostTable* table) {
  std::vector<int> order{0};
  std::vector<bool> used(static_cast<size_t>(table->devices()));
  used[0] = true;
  while (static_cast<int>(order.size()) < table->devices()) {
    int nearest = -1;
    double least = kNever;
    for (int device = 0; device < table->devices(); ++device) {
      if (used[static_cast<size_t>(device)]) continue;
      const std::vector<double>& sums = table->link(order.back(), device).sum_us;
      const double sum = std::accumulate(sums.begin(), sums.end() - 1, 0.0);
      if (nearest >= 0 && sum >= least) continue;
      nearest = device;
      least = sum;
    }
    used[static_cast<size_t>(nearest)] = true;
    order.push_back(nearest);
  }
  return order;
}

class OrderClimb {
 public:
  explicit OrderClimb(CostTable* table) : table_(table), search_(table) {}

  const std::vector<int>& best() const { return best_; }

  // Takes the order if it costs less than the best so far.
  bool offer(const std::vector<int>& order) {
    if (order.empty() || static_cast<int>(order.size()) > table_->layers()) return false;
    search_.set_order(order);
    const LimitGoal goal{cost_us_, kClimbGap};
    const auto found = search_limit(*table_, goal, &search_);
    if (!found) return false;
    cost_us_ = found->cost_us;
    best_ = order;
    return true;
  }

  // The fronts of a row of devices: so many of them, and no more.
  void offer_fronts(const std::vector<int>& row) {
    for (size_t count = 1; count <= row.size(); count += 1 + count / 8) {
      offer({row.begin(), row.begin() + static_cast<std::ptrdiff_t>(count)});
    }
    offer(row);
  }

  // Until no change of one or two places helps, or the work is done.
  void climb() {
    while (!best_.empty() && (improve_by_unused() || improve_by_moving())) {
    }
  }

 private:
  bool exhausted() const { return search_.steps() >= kStepsMax; }

  // Inserts an unused device somewhere, puts it in another's place, or leaves one out.
  bool improve_by_unused() {
    const std::vector<int> order = best_;
    for (int device = 0; device < table_->devices(); ++device) {
      if (std::find(order.begin(), order.end(), device) != order.end()) continue;
      for (size_t at = 0; at <= order.size() && !exhausted(); ++at) {
        std::vector<int> changed = order;
        changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(at), device);
        if (offer(changed)) return true;
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(at));
        if (at == order.size()) continue;
        changed[at] = device;
        if (offer(changed)) return true;
      }
    }
    for (size_t at = 0; at < order.size() && !exhausted(); ++at) {
      std::vector<int> changed = order;
      changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(at));
      if (offer(changed)) return true;
    }
    return false;
  }

  // Exchanges two devices, or moves one to another place.
  bool improve_by_moving() {
    const std::vector<int> order = best_;
    for (size_t from = 0; from < order.size(); ++from) {
      for (size_t to = 0; to < order.size() && !exhausted(); ++to) {
        std::vector<int> changed = order;
        std::swap(changed[from], changed[to]);
        if (from < to && offer(changed)) return true;
        changed = order;
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(from));
        changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(to), order[from]);
        if (from != to && offer(changed)) return true;
      }
    }
    return false;
  }

  CostTable* table_;
  OrderSearch search_;
  double cost_us_ = kNever;
  std::vector<int> best_;
};

}  // namespace

std::vector<int> climb_order(CostTable* table, const std::vector<int>& start) {
  const std::vector<DeviceCost>& devices = table->request().devices;
  const std::vector<int> rows[] = {
      sorted_by(table->devices(), [](int) { return 0; }),
      sorted_by(table->devices(), [&](int d) { return table->speed(d); }),
      // The first stages keep most in flight.
      sorted_by(table->devices(),
                [&](int d) { return devices[static_cast<size_t>(d)].memory_bytes; }),
      nearest_first(table),
  };
  OrderClimb best(table);
  OrderClimb from_start(table);
  from_start.offer(start);
  from_start.climb();
  best.offer(from_start.best());
  for (const std::vector<int>& row : rows) {
    OrderClimb from_row(table);
    from_row.offer_fronts(row);
    from_row.climb();
    best.offer(from_row.best());
  }
  return best.best();
}

}  // namespace ft
