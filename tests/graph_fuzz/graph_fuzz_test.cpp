// The fuzzer itself: it draws every operator, compares its gradients, and finds what is wrong.

#include <algorithm>
#include <doctest/doctest.h>
#include <vector>

#include "kernels/op.h"
#include "tests/graph_fuzz/generators.h"
#include "tests/graph_fuzz/judge.h"
#include "tests/graph_fuzz/shrink.h"

using namespace ft::fuzz;

namespace {

bool has_op(const Graph& graph, const std::string& op) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [&](const GraphNode& node) { return node.op == op; });
}

// The first graph from `first` on in which the planted fault is found; 0: none.
uint64_t find_planted(const std::string& op, uint64_t seeds, uint64_t first = 1) {
  for (uint64_t seed = first; seed <= seeds; ++seed) {
    const Graph graph = draw_graph(seed);
    if (!has_op(pruned(graph), op)) continue;
    Counts counts;
    if (check_contained(graph, {seed, op}, &counts).kind == "gradient") return seed;
  }
  return 0;
}

}  // namespace

TEST_CASE("graph_fuzz: every operator of the table can be drawn and judged") {
  for (const ft::Op& op : ft::op_table()) {
    CAPTURE(op.name);
    CHECK(find_generator(op.name) != nullptr);
    CHECK(find_judge_op(op.name) != nullptr);
  }
  CHECK(ft::op_table().size() <= kOpsMax);
}

TEST_CASE("graph_fuzz: 500 graphs draw every operator and compare its gradients") {
  Counts counts;
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    check_contained(draw_graph(seed), {seed}, &counts);
  }
  for (size_t i = 0; i < ft::op_table().size(); ++i) {
    CAPTURE(ft::op_table()[i].name);
    CHECK(counts.drawn[i] >= 10);
    CHECK(counts.compared[i] >= 10);
  }
  CHECK(counts.near_a_jump <= 25);
  CHECK(counts.run_away <= 5);
  CHECK(counts.too_sharp * 50 <= counts.tensors);
}

TEST_CASE("graph_fuzz: a wrong sign in the gradient of any operator is found") {
  for (const ft::Op& op : ft::op_table()) {
    CAPTURE(op.name);
    CHECK(find_planted(op.name, 200) != 0);
  }
}

// Some stop at more nodes: only those go whose shapes the rest can do without.
TEST_CASE("graph_fuzz: failures shrink to the node that causes them") {
  std::vector<size_t> sizes;
  for (uint64_t seed = find_planted("Tanh", 200); seed != 0 && sizes.size() < 5;
       seed = find_planted("Tanh", 200, seed + 1)) {
    const Graph whole = draw_graph(seed);
    const Graph small = shrink(whole, {seed, "Tanh"}, "gradient");
    CAPTURE(describe_graph(small));
    CHECK(has_op(small, "Tanh"));
    CHECK(small.nodes.size() < pruned(whole).nodes.size());
    sizes.push_back(small.nodes.size());
  }
  REQUIRE(sizes.size() == 5);
  std::sort(sizes.begin(), sizes.end());
  CHECK(sizes[2] <= 4);
}

TEST_CASE("graph_fuzz: a graph is a function of its seed") {
  CHECK(describe_graph(draw_graph(7)) == describe_graph(draw_graph(7)));
  CHECK(describe_graph(draw_graph(7)) != describe_graph(draw_graph(8)));
  CHECK(file_of(draw_graph(7), {7}) == file_of(draw_graph(7), {7}));
}
