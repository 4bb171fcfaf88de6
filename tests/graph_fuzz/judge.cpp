#include "tests/graph_fuzz/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/graph_fuzz/dice.h"

namespace ft::fuzz {
namespace {

constexpr double kFloatError = 0x1p-22;  // two roundings

NodeCall call_of(const GraphNode& node, int opset, const Values& values, const Setting& setting) {
  NodeCall call;
  call.node = &node;
  call.opset = opset;
  call.moment = setting.moment;
  for (const std::string& name : node.inputs) {
    call.inputs.push_back(name.empty() ? nullptr : &values.at(name));
  }
  const auto number = setting.numbers.find(node.outputs[0]);
  if (number != setting.numbers.end()) call.number = number->second;
  return call;
}

const JudgeOp& op_of(const GraphNode& node) {
  const JudgeOp* op = find_judge_op(node.op);
  FT_CHECK(op != nullptr);
  return *op;
}

// Exact zeros stay: what is masked in float64 is masked in float32.
void disturb(Array* array, const Noise& noise, uint64_t part) {
  if (noise.seed == 0 || array->at.empty()) return;
  double square = 0;
  for (const double x : array->at) square += x * x;
  const double typical = std::sqrt(square / static_cast<double>(array->at.size()));
  Dice dice(noise.seed, Stream::kNoise, part);
  for (double& x : array->at) {
    if (x == 0) continue;
    const auto error = static_cast<double>(dice.uniform(-1, 1));
    x += error * kFloatError * (std::abs(x) + typical);
  }
}

bool is_number(const Graph& graph, const std::string& name) {
  const Leaf* leaf = graph.leaf(name);
  return leaf == nullptr || leaf->kind == LeafKind::kWeight || leaf->kind == LeafKind::kConstant;
}

Loss cross_entropy(const Array& output, const std::vector<double>& targets, double scale) {
  Loss loss = {0, zeros(output.dims)};
  const auto rows = static_cast<size_t>(output.dims[0]);
  const size_t classes = output.at.size() / rows;
  for (size_t row = 0; row < rows; ++row) {
    const double* z = output.at.data() + row * classes;
    const double most = *std::max_element(z, z + classes);
    double sum = 0;
    for (size_t i = 0; i < classes; ++i) sum += std::exp(z[i] - most);
    const auto label = static_cast<size_t>(targets[row]);
    loss.sum += std::log(sum) + most - z[label];
    for (size_t i = 0; i < classes; ++i) {
      const double hit = i == label ? 1 : 0;
      loss.grad.at[row * classes + i] = scale * (std::exp(z[i] - most) / sum - hit);
    }
  }
  return loss;
}

Loss mean_squares(const Array& output, const std::vector<double>& targets, double scale) {
  Loss loss = {0, zeros(output.dims)};
  const double per_row =
      static_cast<double>(output.at.size()) / static_cast<double>(output.dims[0]);
  for (size_t i = 0; i < output.at.size(); ++i) {
    const double distance = output.at[i] - targets[i];
    loss.sum += distance * distance / per_row;
    loss.grad.at[i] = scale * 2 * distance / per_row;
  }
  return loss;
}

}  // namespace

Evaluation evaluate(const Graph& graph, const Values& leaves, const Array& input,
                    const Setting& setting) {
  Evaluation result;
  result.values = leaves;
  result.values[graph.input().name] = input;
  result.kink = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    const JudgeOp& op = op_of(node);
    const NodeCall call = call_of(node, graph.opset, result.values, setting);
    std::vector<Array> outputs;
    op.forward(call, &outputs);
    disturb(outputs.data(), setting.noise, i);
    if (op.kink != nullptr) result.kink = std::min(result.kink, op.kink(call, outputs));
    if (node.op == "BatchNormalization") {
      result.next_statistics[node.inputs[3]] = outputs[1];
      result.next_statistics[node.inputs[4]] = outputs[2];
    }
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      if (!node.outputs[k].empty()) result.values[node.outputs[k]] = std::move(outputs[k]);
    }
  }
  return result;
}

Values gradients(const Graph& graph, const Evaluation& evaluation, const Array& grad,
                 const Setting& setting) {
  Values grads = {{graph.output, grad}};
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const GraphNode& node = graph.nodes[i];
    const auto found = grads.find(node.outputs[0]);
    if (found == grads.end()) continue;
    Array own = found->second;  // a copy: new entries do not move it, but a plant changes it
    disturb(&own, setting.noise, graph.nodes.size() + i);
    if (node.op == setting.planted) {
      for (double& g : own.at) g = -g;
    }
    const NodeCall call = call_of(node, graph.opset, evaluation.values, setting);
    std::vector<Array*> grad_inputs;
    for (const std::string& name : node.inputs) {
      if (name.empty() || !is_number(graph, name)) {
        grad_inputs.push_back(nullptr);
        continue;
      }
      const auto [entry, is_new] = grads.try_emplace(name);
      if (is_new) entry->second = zeros(evaluation.values.at(name).dims);
      grad_inputs.push_back(&entry->second);
    }
    op_of(node).backward(call, {evaluation.values.at(node.outputs[0])}, own, grad_inputs);
  }
  Values of_leaves;
  for (const Leaf& leaf : graph.leaves) {
    const auto found = grads.find(leaf.name);
    if (found == grads.end()) continue;
    disturb(&found->second, setting.noise, 2 * graph.nodes.size() + of_leaves.size());
    of_leaves[leaf.name] = std::move(found->second);
  }
  return of_leaves;
}

Loss loss_of(LossKind kind, const Array& output, const std::vector<double>& targets, double scale,
             const Noise& noise) {
  Loss loss = kind == LossKind::kCrossEntropy ? cross_entropy(output, targets, scale)
                                              : mean_squares(output, targets, scale);
  if (noise.seed == 0) return loss;
  Dice dice(noise.seed, Stream::kNoise, ~uint64_t{0});
  for (double& g : loss.grad.at)
    g += static_cast<double>(dice.uniform(-1, 1)) * kFloatError * scale;
  return loss;
}

std::vector<Array> run_node(const GraphNode& node, int opset, const Values& values,
                            const Moment& moment) {
  std::vector<Array> outputs;
  op_of(node).forward(call_of(node, opset, values, {moment}), &outputs);
  return outputs;
}

}  // namespace ft::fuzz
