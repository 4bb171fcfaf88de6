#include "partition/plan.h"

#include <algorithm>
#include <limits>

#include "runtime/base/check.h"

namespace ft {

std::vector<LayerRange> plan_ranges(const std::vector<double>& layer_costs,
                                    const std::vector<double>& capacities) {
  const size_t layers = layer_costs.size();
  const size_t devices = std::min(capacities.size(), layers);
  FT_CHECK(devices > 0);
  std::vector<double> before(layers + 1, 0.0);  // cost of the layers before each cut
  for (size_t i = 0; i < layers; ++i) before[i + 1] = before[i] + layer_costs[i];

  // best[d][j]: the slowest of devices 0..d when they run layers [0, j); from[d][j]: d's first
  // layer.
  constexpr double kNever = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> best(devices, std::vector<double>(layers + 1, kNever));
  std::vector<std::vector<size_t>> from(devices, std::vector<size_t>(layers + 1, 0));
  for (size_t j = 1; j <= layers; ++j) best[0][j] = before[j] / capacities[0];
  for (size_t d = 1; d < devices; ++d) {
    for (size_t j = d + 1; j <= layers; ++j) {
      for (size_t i = d; i < j; ++i) {
        const double time = std::max(best[d - 1][i], (before[j] - before[i]) / capacities[d]);
        if (time < best[d][j]) {
          best[d][j] = time;
          from[d][j] = i;
        }
      }
    }
  }
  std::vector<LayerRange> ranges(devices);
  size_t last = layers;
  for (size_t d = devices; d-- > 0;) {
    ranges[d] = {static_cast<int>(from[d][last]), static_cast<int>(last)};
    last = from[d][last];
  }
  return ranges;
}

Result<std::vector<LayerRange>> ranges_from_cuts(const std::string& cuts, int layers) {
  std::vector<LayerRange> ranges;
  int first = 0;
  size_t at = 0;
  while (at <= cuts.size()) {
    const size_t comma = std::min(cuts.find(',', at), cuts.size());
    const std::string item = cuts.substr(at, comma - at);
    const bool digits = !item.empty() && item.size() <= 6 &&
                        item.find_first_not_of("0123456789") == std::string::npos;
    const int cut = digits ? std::stoi(item) : -1;
    if (cut <= first || cut >= layers) {
      return invalid_error(
          "--partition fixed:%s: '%s' cannot stand there; cuts are ascending layer numbers from 1 "
          "to %d (see `ftrun inspect`)",
          cuts.c_str(), item.c_str(), layers - 1);
    }
    ranges.push_back({first, cut});
    first = cut;
    at = comma + 1;
  }
  ranges.push_back({first, layers});
  return ranges;
}

}  // namespace ft
