#include "onnx_import/order.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <set>

namespace ft {
namespace {

// Who makes what, and edges producer -> reader.
struct Edges {
  std::vector<std::vector<size_t>> sources;  // of each node; may repeat
  std::vector<std::vector<size_t>> readers;  // of each node; may repeat
  std::vector<size_t> output_makers;
};

Result<Edges> find_edges(const OnnxGraph& graph) {
  std::map<std::string, size_t> makers;
  std::set<std::string> given;
  for (const OnnxInput& input : graph.inputs) given.insert(input.name);
  for (const auto& [name, constant] : graph.constants) given.insert(name);
  for (const auto& [name, constant] : graph.initializers) given.insert(name);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& output : graph.nodes[i].outputs) {
      if (!output.empty()) makers[output] = i;
    }
  }
  Edges edges;
  edges.sources.resize(graph.nodes.size());
  edges.readers.resize(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& input : graph.nodes[i].inputs) {
      if (input.empty() || given.count(input) != 0) continue;
      const auto maker = makers.find(input);
      if (maker == makers.end()) {
        return invalid_error("node '%s' (%s) reads '%s', which nothing makes: the file is damaged",
                             graph.nodes[i].name.c_str(), graph.nodes[i].op.c_str(), input.c_str());
      }
      edges.sources[i].push_back(maker->second);
      edges.readers[maker->second].push_back(i);
    }
  }
  for (const std::string& output : graph.outputs) {
    const auto maker = makers.find(output);
    if (maker != makers.end()) edges.output_makers.push_back(maker->second);
  }
  return edges;
}

std::vector<bool> find_alive(const Edges& edges) {
  std::vector<bool> alive(edges.sources.size(), false);
  std::vector<size_t> pending = edges.output_makers;
  while (!pending.empty()) {
    const size_t node = pending.back();
    pending.pop_back();
    if (alive[node]) continue;
    alive[node] = true;
    pending.insert(pending.end(), edges.sources[node].begin(), edges.sources[node].end());
  }
  return alive;
}

// Kahn's algorithm; of the nodes that are ready, the first in the file goes first.
std::vector<size_t> topological_order(const Edges& edges, const std::vector<bool>& alive) {
  std::vector<size_t> missing(alive.size());
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < alive.size(); ++i) {
    missing[i] = edges.sources[i].size();
    if (alive[i] && missing[i] == 0) ready.push(i);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t node = ready.top();
    ready.pop();
    order.push_back(node);
    for (const size_t reader : edges.readers[node]) {
      if (--missing[reader] == 0 && alive[reader]) ready.push(reader);
    }
  }
  return order;
}

// A node that needs no sample gets its first reader's place in the sort, before the reader itself.
void sink_weight_nodes(const OnnxGraph& graph, const Edges& edges, const std::vector<bool>& alive,
                       std::vector<size_t>* order) {
  std::set<std::string> inputs;
  for (const OnnxInput& input : graph.inputs) inputs.insert(input.name);
  std::vector<bool> is_weight(graph.nodes.size());
  std::vector<size_t> place(graph.nodes.size(), SIZE_MAX);
  for (size_t position = 0; position < order->size(); ++position) {
    const size_t node = (*order)[position];
    bool weight = true;
    for (const size_t source : edges.sources[node]) weight = weight && is_weight[source];
    for (const std::string& input : graph.nodes[node].inputs) {
      weight = weight && inputs.count(input) == 0;
    }
    is_weight[node] = weight;
    place[node] = position;
  }
  for (size_t position = order->size(); position-- > 0;) {
    const size_t node = (*order)[position];
    if (!is_weight[node]) continue;
    size_t first = SIZE_MAX;
    for (const size_t reader : edges.readers[node]) {
      if (alive[reader]) first = std::min(first, place[reader]);
    }
    if (first != SIZE_MAX) place[node] = first;
  }
  std::stable_sort(order->begin(), order->end(),
                   [&](size_t a, size_t b) { return place[a] < place[b]; });
}

}  // namespace

Status sort_nodes(OnnxGraph* graph) {
  FT_ASSIGN_OR_RETURN(const Edges edges, find_edges(*graph));
  const std::vector<bool> alive = find_alive(edges);
  std::vector<size_t> order = topological_order(edges, alive);
  if (order.size() != static_cast<size_t>(std::count(alive.begin(), alive.end(), true))) {
    std::vector<bool> sorted(alive.size(), false);
    for (const size_t node : order) sorted[node] = true;
    for (size_t i = 0; i < alive.size(); ++i) {
      if (alive[i] && !sorted[i]) {
        return invalid_error("node '%s' (%s) is part of a cycle: the file is damaged",
                             graph->nodes[i].name.c_str(), graph->nodes[i].op.c_str());
      }
    }
  }
  sink_weight_nodes(*graph, edges, alive, &order);
  std::vector<OnnxNode> nodes;
  nodes.reserve(order.size());
  for (const size_t node : order) nodes.push_back(std::move(graph->nodes[node]));
  graph->nodes = std::move(nodes);
  return {};
}

}  // namespace ft
