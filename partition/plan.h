#pragma once

// Where to cut the model: contiguous ranges of layers for devices in a given order, minimising the
// slowest device's time. Pure and deterministic.

#include <string>
#include <vector>

#include "runtime/base/layer_range.h"
#include "runtime/base/status.h"

namespace ft {

// The range of each device, in pipeline order. `layer_costs` are times on a device of capacity 1;
// a device of capacity c needs cost / c. Devices beyond the number of layers get none: the result
// has min(devices, layers) ranges, each with at least one layer. Among equally good plans the one
// with the earliest cuts wins. O(devices * layers^2).
std::vector<LayerRange> plan_ranges(const std::vector<double>& layer_costs,
                                    const std::vector<double>& capacities);

// Ranges from "3,9": cuts before layers 3 and 9.
// Errors: kInvalid when the text is no ascending list of cuts within 1 .. layers - 1.
Result<std::vector<LayerRange>> ranges_from_cuts(const std::string& cuts, int layers);

}  // namespace ft
