#pragma once

// An order of devices for clusters too large to try all sets: hill climbing. It starts from the
// best of some plausible orders and changes one or two places at a time as long as that helps,
// within a fixed amount of work.

#include <vector>

#include "partition/cost_table.h"

namespace ft {

// The best order that climbing from `start` (may be empty) or from one of its own starts led to:
// the order of joining, by speed, by memory, or always to the nearest. Empty when none of those
// that were tried fits.
std::vector<int> climb_order(CostTable* table, const std::vector<int>& start);

}  // namespace ft
