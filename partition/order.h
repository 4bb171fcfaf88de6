#pragma once

// The order of devices in the pipeline: two that cannot reach each other are never neighbours
// (DESIGN 4). Pure and deterministic.

#include <set>
#include <utility>
#include <vector>

namespace ft {

// Devices 0 .. count - 1; 0 is central, comes first and reaches everybody. `unreachable` holds
// pairs (smaller, larger). Returns as many devices as can stand in a row, in the order nearest to
// 0, 1, 2, ...: all of them when one such order exists. With very many pairs it may return fewer
// than possible: the search stops after kOrderStepsMax steps and takes the best so far.
std::vector<int> order_devices(int count, const std::set<std::pair<int, int>>& unreachable);

constexpr int kOrderStepsMax = 100'000;

}  // namespace ft
