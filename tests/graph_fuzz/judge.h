#pragma once

// The judge: what a graph computes and what its gradients are, in float64 and by plain loops,
// straight from the graph as it stands in the ONNX file. It knows no layout, layers or plans.

#include "tests/graph_fuzz/judge_ops.h"

namespace ft::fuzz {

// Errors of the size that float32 makes, on every computed element: how far the results move tells
// how far a right float32 result may be off (small differences of large numbers, points where a
// slope jumps). Seed 0: none.
struct Noise {
  uint64_t seed = 0;
};

struct Setting {
  Moment moment;
  std::map<std::string, uint32_t> numbers = {};  // by a node's first output: its index in the model
  Noise noise = {};
  // For the fuzzer's own test: gradients that this operator hands on have the wrong sign.
  std::string planted = {};
};

struct Evaluation {
  Values values;           // by name, leaves included
  Values next_statistics;  // by the name of the statistic
  double kink = 0;         // the nearest any input comes to a jump of a slope
};

Evaluation evaluate(const Graph& graph, const Values& leaves, const Array& input,
                    const Setting& setting);

// By leaf: of weights and constants. `grad` is the output's.
Values gradients(const Graph& graph, const Evaluation& evaluation, const Array& grad,
                 const Setting& setting);

struct Loss {
  double sum = 0;  // over the rows
  Array grad;      // of the sum times `scale`
};
// `targets`: a class per row for cross-entropy, else as many as outputs. The noise is that of a
// difference from 1: where a softmax is sure, little is left of it.
Loss loss_of(LossKind kind, const Array& output, const std::vector<double>& targets, double scale,
             const Noise& noise = {});

// Outputs of one node, for whoever builds a graph. Aborts when the judge does not know it.
std::vector<Array> run_node(const GraphNode& node, int opset, const Values& values,
                            const Moment& moment);

}  // namespace ft::fuzz
