#pragma once

// Exhaustive: a small world (three devices, three layers, few batches), in which every single fault
// strikes at every moment of an undisturbed run, and pairs of crashes on a coarse grid.

#include <functional>

#include "tests/sim/cluster.h"

namespace ft::sim {

// `step`: every how many moments of the undisturbed run; 1 is all. Calls `seen` after each run with
// what struck; stops when that returns false.
using Seen = std::function<bool(const ClusterOptions& options, const RunResult& result)>;
void run_exhaustive(int64_t step, const Seen& seen);

}  // namespace ft::sim
