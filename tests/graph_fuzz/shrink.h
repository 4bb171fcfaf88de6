#pragma once

// From a graph that fails to the smallest one that still fails alike.

#include "tests/graph_fuzz/contained.h"

namespace ft::fuzz {

// REQUIRES: check_contained(graph, options) fails, with `kind`.
Graph shrink(const Graph& graph, const CaseOptions& options, const std::string& kind);

}  // namespace ft::fuzz
