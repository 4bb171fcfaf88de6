#include "partition/coarse_layers.h"

#include <algorithm>

#include "partition/cost_table.h"
#include "runtime/base/check.h"

namespace ft {
namespace {

// Of the cuts in each of `count` equal parts of the work, the one over which least is sent.
std::vector<size_t> cheap_cuts(const PlanRequest& request, int count) {
  const CostTable table(request);
  const std::vector<double>& work = table.work_before();
  const auto bytes = [&request](size_t cut) {
    return request.cuts[cut].forward_bytes + request.cuts[cut].gradient_bytes;
  };
  std::vector<size_t> cuts{0};
  size_t cut = 1;
  for (int part = 1; part <= count && cut < request.layers.size(); ++part) {
    const double end = work.back() * part / count;
    size_t cheapest = cut;
    const size_t first = cut;
    for (; cut < request.layers.size() && work[cut] <= end; ++cut) {
      if (bytes(cut) < bytes(cheapest)) cheapest = cut;
    }
    if (cut > first) cuts.push_back(cheapest);
  }
  return cuts;
}

}  // namespace

PlanRequest coarse_layers(const PlanRequest& request, int layers_max) {
  FT_CHECK(layers_max > 1);
  if (static_cast<int>(request.layers.size()) <= layers_max) return request;
  const std::vector<size_t> cuts = cheap_cuts(request, layers_max - 1);
  PlanRequest coarse = request;
  if (request.range_bytes) {
    coarse.range_bytes = [fine = request.range_bytes, cuts,
                          end = static_cast<int>(request.layers.size())](const LayerRange& range,
                                                                         int in_flight) {
      const auto cut = [&](int i) {
        const auto at = static_cast<size_t>(i);
        return at < cuts.size() ? static_cast<int>(cuts[at]) : end;
      };
      return fine({cut(range.first), cut(range.last)}, in_flight);
    };
  }
  coarse.layers.assign(cuts.size(), {});
  coarse.cuts.clear();
  for (DeviceCost& device : coarse.devices) device.layer_us.assign(cuts.size(), 0);
  for (size_t i = 0; i < cuts.size(); ++i) {
    coarse.cuts.push_back(request.cuts[cuts[i]]);
    LayerSize& sum = coarse.layers[i];
    const size_t last = i + 1 < cuts.size() ? cuts[i + 1] : request.layers.size();
    for (size_t j = cuts[i]; j < last; ++j) {
      const LayerSize& layer = request.layers[j];
      sum.state_bytes += layer.state_bytes;
      sum.parameter_bytes += layer.parameter_bytes;
      sum.stash_bytes += layer.stash_bytes;
      sum.work_bytes = std::max(sum.work_bytes, layer.work_bytes);
      for (size_t d = 0; d < coarse.devices.size(); ++d) {
        coarse.devices[d].layer_us[i] += request.devices[d].layer_us[j];
      }
    }
  }
  return coarse;
}

}  // namespace ft
