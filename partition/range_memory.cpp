#include "partition/range_memory.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace ft {
namespace {

constexpr int kSnapshots = 3;  // two for cuts, one for an evaluation

// `sum` is of the layers' sizes, but for work_bytes, which is the greatest.
int64_t summed_memory_bytes(const PlanRequest& request, const LayerSize& sum, int in_flight) {
  // A step overwrites the version it reads, unless batches in flight still use it.
  const int older = request.sync || in_flight == 1 ? 0 : in_flight;
  const int gradients = request.micro_batches > 1 ? 2 : 1;  // the sum, and a micro-batch's own
  return sum.state_bytes * (1 + older + kSnapshots) + sum.parameter_bytes * gradients +
         sum.stash_bytes * in_flight + sum.work_bytes;
}

void add(LayerSize* sum, const LayerSize& layer, int sign) {
  sum->state_bytes += sign * layer.state_bytes;
  sum->parameter_bytes += sign * layer.parameter_bytes;
  sum->stash_bytes += sign * layer.stash_bytes;
}

}  // namespace

int64_t range_memory_bytes(const PlanRequest& request, const LayerRange& range, int in_flight) {
  FT_CHECK(range.first >= 0 && range.last <= static_cast<int>(request.layers.size()));
  if (request.range_bytes) return request.range_bytes(range, in_flight);
  LayerSize sum;
  for (int i = range.first; i < range.last; ++i) {
    const LayerSize& layer = request.layers[static_cast<size_t>(i)];
    add(&sum, layer, 1);
    sum.work_bytes = std::max(sum.work_bytes, layer.work_bytes);
  }
  return summed_memory_bytes(request, sum, in_flight);
}

namespace {

// By asking for ranges. A range without its first layer may need more (only the first range steps
// layer by layer) and one without its last, too (a wide cut): an end counts if all ends before it
// fit.
std::vector<int> asked_range_ends(const PlanRequest& request, int64_t memory_bytes, int in_flight) {
  const int layers = static_cast<int>(request.layers.size());
  const auto fits = [&](int first, int last) {
    return request.range_bytes({first, last}, in_flight) <= memory_bytes;
  };
  std::vector<int> ends(request.layers.size());
  int last = 0;
  for (int first = 0; first < layers; ++first) {
    last = std::max(last, first);
    while (last > first && !fits(first, last)) --last;
    while (last < layers && fits(first, last + 1)) ++last;
    ends[static_cast<size_t>(first)] = last;
  }
  return ends;
}

}  // namespace

std::vector<int> range_ends(const PlanRequest& request, int64_t memory_bytes, int in_flight) {
  if (memory_bytes == std::numeric_limits<int64_t>::max()) {
    return std::vector<int>(request.layers.size(), static_cast<int>(request.layers.size()));
  }
  if (request.range_bytes) return asked_range_ends(request, memory_bytes, in_flight);
  const std::vector<LayerSize>& layers = request.layers;
  std::vector<int> ends(layers.size());
  // A range without its first layer needs no more, so both ends only move on. `peaks` holds the
  // layers of the range with more work than all behind them: its head has the range's greatest.
  LayerSize sum;
  std::vector<size_t> peaks;
  size_t head = 0;
  size_t last = 0;
  for (size_t first = 0; first < layers.size(); ++first) {
    while (last < layers.size()) {
      LayerSize grown = sum;
      add(&grown, layers[last], 1);
      grown.work_bytes = layers[last].work_bytes;
      if (head < peaks.size()) {
        grown.work_bytes = std::max(grown.work_bytes, layers[peaks[head]].work_bytes);
      }
      if (summed_memory_bytes(request, grown, in_flight) > memory_bytes) break;
      sum = grown;
      while (peaks.size() > head && layers[peaks.back()].work_bytes <= layers[last].work_bytes) {
        peaks.pop_back();
      }
      peaks.push_back(last++);
    }
    ends[first] = static_cast<int>(last);
    if (last == first) {  // not even this layer: begin behind it
      ++last;
      continue;
    }
    add(&sum, layers[first], -1);
    if (head < peaks.size() && peaks[head] == first) ++head;
  }
  return ends;
}

}  // namespace ft
