#pragma once

// How far a range reaches in a memory. The formula itself is range_memory_bytes in planner.h.

#include <vector>

#include "partition/planner.h"

namespace ft {

// For each first layer, the greatest last layer (exclusive) of a range that fits, with `in_flight`
// micro-batches between forward and backward; the first layer itself when not even one layer fits.
// O(layers).
std::vector<int> range_ends(const PlanRequest& request, int64_t memory_bytes, int in_flight);

}  // namespace ft
