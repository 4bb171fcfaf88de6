#include "tests/graph_fuzz/shrink.h"

#include <algorithm>

#include "tests/graph_fuzz/judge.h"

namespace ft::fuzz {
namespace {

// The shapes of all values.
Values shapes_of(const Graph& graph, const CaseOptions& options) {
  return evaluate(graph, draw_leaves(graph, options.seed, 0), draw_input(graph, options.seed, 0, 0),
                  {})
      .values;
}

// `from` is read as `to` everywhere.
Graph renamed(const Graph& graph, const std::string& from, const std::string& to) {
  Graph result = graph;
  for (GraphNode& node : result.nodes)
    std::replace(node.inputs.begin(), node.inputs.end(), from, to);
  if (result.output == from) result.output = to;
  return pruned(result);
}

bool is_number(const Graph& graph, const std::string& name) {
  const Leaf* leaf = graph.leaf(name);
  return leaf == nullptr || leaf->kind != LeafKind::kIntegers;
}

// Smaller graphs, the smallest first. All shapes still fit: the judge evaluates them here.
std::vector<Graph> candidates(const Graph& graph, const CaseOptions& options) {
  std::vector<Graph> list;
  const Values shapes = shapes_of(graph, options);
  for (const GraphNode& node : graph.nodes) {  // a beginning of it
    if (node.outputs[0] == graph.output) continue;
    if (shapes.at(node.outputs[0]).dims.empty()) continue;
    if (shapes.at(node.outputs[0]).dims[0] != graph.rows) continue;
    Graph start = graph;
    start.output = node.outputs[0];
    start.loss = LossKind::kMeanSquaredError;
    list.push_back(pruned(start));
  }
  for (const GraphNode& node : graph.nodes) {  // without one node
    for (const std::string& input : node.inputs) {
      if (input.empty() || !is_number(graph, input)) continue;
      if (shapes.at(input).dims != shapes.at(node.outputs[0]).dims) continue;
      list.push_back(renamed(graph, node.outputs[0], input));
    }
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {  // without a bias
    const GraphNode& node = graph.nodes[i];
    if ((node.op != "Conv" && node.op != "Gemm") || node.inputs.size() < 3) continue;
    Graph shorter = graph;
    shorter.nodes[i].inputs.pop_back();
    list.push_back(pruned(shorter));
  }
  return list;
}

}  // namespace

Graph shrink(const Graph& graph, const CaseOptions& options, const std::string& kind) {
  Graph best = pruned(graph);
  Counts ignored;
  if (check_contained(best, options, &ignored).kind != kind) return graph;
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const Graph& candidate : candidates(best, options)) {
      if (check_contained(candidate, options, &ignored).kind != kind) continue;
      best = candidate;
      smaller = true;
      break;
    }
  }
  return best;
}

}  // namespace ft::fuzz
