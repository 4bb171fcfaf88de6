#pragma once

// Which sample stands in which row of which batch: a pure function of (seed, epoch) (DESIGN 3).

#include <cstdint>
#include <vector>

namespace ft {

// A permutation of 0 .. count-1; the identity when `shuffle` is false. Fisher-Yates on Philox.
std::vector<int64_t> epoch_order(uint64_t seed, int64_t epoch, int64_t count, bool shuffle);

}  // namespace ft
