#pragma once

// A check in a process of its own: a failed FT_CHECK or a bad access is a verdict like any other.

#include "tests/graph_fuzz/case.h"

namespace ft::fuzz {

Verdict check_contained(const Graph& graph, const CaseOptions& options, Counts* counts);

}  // namespace ft::fuzz
