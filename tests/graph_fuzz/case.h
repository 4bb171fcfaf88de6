#pragma once

// One graph through the whole product: written as an ONNX file, imported, cut, trained, evaluated;
// and what must hold (README.md).

#include <array>
#include <string>

#include "tests/graph_fuzz/graph.h"

namespace ft::fuzz {

constexpr size_t kOpsMax = 128;

// Plain numbers, so that a child process can hand them back.
struct Counts {
  int64_t graphs = 0;
  int64_t nodes = 0;        // that the output depends on
  int64_t runs = 0;         // trainings
  int64_t tensors = 0;      // of gradients, compared
  int64_t near_a_jump = 0;  // graphs without comparison: a slope jumps too near
  int64_t too_sharp = 0;    // tensors without: float32's own error might explain the difference
  int64_t run_away = 0;     // graphs whose loss grows without bound after the first step
  int64_t failures = 0;
  std::array<int64_t, kOpsMax> drawn{};     // nodes, by place in the op table
  std::array<int64_t, kOpsMax> compared{};  // of these, in graphs whose gradients were compared

  void add(const Counts& other);
};

struct CaseOptions {
  uint64_t seed = 0;         // of values, cuts and options; the graph is given
  std::string planted = {};  // Setting::planted
};

struct Verdict {
  std::string kind;  // empty: all holds
  std::string text;

  bool failed() const { return !kind.empty(); }
};

Verdict check_graph(const Graph& graph, const CaseOptions& options, Counts* counts);

// The file that check_graph imports first.
std::vector<std::byte> file_of(const Graph& graph, const CaseOptions& options);

}  // namespace ft::fuzz
