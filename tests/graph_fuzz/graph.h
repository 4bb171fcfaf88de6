#pragma once

// Graph: what the fuzzer draws, before it is an ONNX file: leaves (the input, weights, constants,
// statistics), nodes in an order that can be executed, one output. Shapes are those of the file;
// where a value has rows, axis 0 counts them.

#include <map>
#include <string>
#include <vector>

#include "runtime/exec/range_trainer.h"
#include "tests/graph_fuzz/array.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft::fuzz {

enum class LeafKind {
  kInput,      // the samples; rows are counted by axis 0
  kWeight,     // an initializer that trains
  kStatistic,  // of a batch norm
  kConstant,   // float32
  kIntegers,   // axes, shapes
  kFlag,       // one bool
};

struct Leaf {
  std::string name;
  LeafKind kind = LeafKind::kWeight;
  Dims dims;
  float low = -1;  // values are uniform in [low, high)
  float high = 1;
  std::vector<int64_t> integers = {};  // kIntegers, kFlag: the values
  bool in_node = false;                // written as a Constant node, not as an initializer
};

struct GraphNode {
  std::string op;
  std::vector<std::string> inputs;  // empty: left out
  std::vector<std::string> outputs;
  TestAttributes attributes;
};

struct Graph {
  int opset = 14;
  int64_t rows = 1;          // of one pass
  bool fixed_rows = false;   // the file says so; else the batch is symbolic
  std::vector<Leaf> leaves;  // the input is the first
  std::vector<GraphNode> nodes;
  std::string output;
  LossKind loss = LossKind::kMeanSquaredError;

  const Leaf& input() const { return leaves.front(); }
  const Leaf* leaf(const std::string& name) const;
};

using Values = std::map<std::string, Array>;

// Of every leaf but the input: a pure function of seed, name and `attempt`. Floats are float32
// numbers.
Values draw_leaves(const Graph& graph, uint64_t seed, uint64_t attempt);
// Samples number `number` of a run.
Array draw_input(const Graph& graph, uint64_t seed, uint64_t attempt, uint64_t number);

std::vector<std::byte> to_onnx(const Graph& graph, const Values& leaves);

// Without what the output does not need.
Graph pruned(const Graph& graph);

// One line a node, for people.
std::string describe_graph(const Graph& graph);

}  // namespace ft::fuzz
