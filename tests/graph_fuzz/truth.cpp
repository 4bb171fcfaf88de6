#include "tests/graph_fuzz/truth.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/graph_fuzz/dice.h"

namespace ft::fuzz {
namespace {

// Of a tensor's largest element, and of the largest of all tensors.
constexpr double kTolerance = 1e-4;
constexpr double kToleranceOfAll = 1e-5;
// By how much what float32's errors move is let pass, and how often it is tried.
constexpr double kNoiseFactor = 16;
constexpr uint64_t kNoises = 4;

uint64_t sample_number(int64_t batch, int micro) {
  return static_cast<uint64_t>(batch) * 8 + static_cast<uint64_t>(micro);
}

Setting setting_of(const Job& job, int micro, bool trains, uint64_t noise) {
  Setting setting;
  setting.moment.trains = trains;
  setting.moment.seed = job.trainer.seed;
  setting.moment.row_first = micro * job.graph->rows;
  setting.numbers = job.numbers;
  setting.noise = {noise};
  setting.planted = job.planted;
  return setting;
}

double difference(const float* found, const Array& right) {
  double most = 0;
  for (size_t i = 0; i < right.at.size(); ++i) {
    const double distance = std::abs(static_cast<double>(found[i]) - right.at[i]);
    if (!std::isfinite(distance)) return std::numeric_limits<double>::infinity();
    most = std::max(most, distance);
  }
  return most;
}

double difference(const Array& one, const Array& other) {
  double most = 0;
  for (size_t i = 0; i < one.at.size(); ++i) {
    most = std::max(most, std::abs(one.at[i] - other.at[i]));
  }
  return most;
}

// Whether `off` is right after all; then it is counted.
bool is_too_sharp(double off, double allowed, double spread, Counts* counts) {
  if (!(off <= allowed + kNoiseFactor * spread)) return false;
  ++counts->too_sharp;
  return true;
}

std::string readers(const Graph& graph, const std::string& name) {
  std::string list;
  for (const GraphNode& node : graph.nodes) {
    if (std::count(node.inputs.begin(), node.inputs.end(), name) == 0) continue;
    list += " " + node.outputs[0];
  }
  return list;
}

}  // namespace

Array Job::input(int64_t batch, int micro) const {
  return draw_input(*graph, seed, attempt, sample_number(batch, micro));
}

std::vector<double> Job::targets(int64_t batch, int micro) const {
  Dice dice(seed, Stream::kValues, (uint64_t{1} << 63) + sample_number(batch, micro));
  std::vector<double> list;
  if (graph->loss == LossKind::kCrossEntropy) {
    for (int64_t row = 0; row < graph->rows; ++row) {
      list.push_back(static_cast<double>(dice.below(output_elements / graph->rows)));
    }
    return list;
  }
  for (int64_t i = 0; i < output_elements; ++i) {
    list.push_back(static_cast<double>(dice.uniform(-1, 1)));
  }
  return list;
}

Truth::Truth(const Job& job, const Values& leaves)
    : job_(job), leaves_(leaves), outcome_(judge(0)) {}

// Micro-batch after micro-batch, as `sync` defines it.
Outcome Truth::judge(uint64_t noise) const {
  const Graph& graph = *job_.graph;
  Outcome outcome;
  outcome.kink = std::numeric_limits<double>::infinity();
  outcome.statistics = leaves_;
  const double scale = 1.0 / static_cast<double>(graph.rows * job_.micro_batches);
  for (int micro = 0; micro < job_.micro_batches; ++micro) {
    const Setting setting = setting_of(job_, micro, true, noise);
    const Evaluation result = evaluate(graph, outcome.statistics, job_.input(0, micro), setting);
    const Loss loss =
        loss_of(graph.loss, result.values.at(graph.output), job_.targets(0, micro), scale, {noise});
    outcome.loss += loss.sum;
    outcome.kink = std::min(outcome.kink, result.kink);
    for (const auto& [name, grad] : gradients(graph, result, loss.grad, setting)) {
      const auto [entry, is_new] = outcome.grads.try_emplace(name, grad);
      for (size_t i = 0; !is_new && i < grad.at.size(); ++i) entry->second.at[i] += grad.at[i];
    }
    for (const auto& [name, value] : result.next_statistics) outcome.statistics[name] = value;
  }
  return outcome;
}

const std::vector<Outcome>& Truth::noisy() {
  while (noisy_.size() < kNoises) noisy_.push_back(judge(noisy_.size() + 1));
  return noisy_;
}

double Truth::largest_gradient() const {
  double most = 0;
  for (const auto& [name, grad] : outcome_.grads) {
    const Leaf* leaf = job_.graph->leaf(name);
    if (leaf->kind == LeafKind::kWeight) most = std::max(most, largest(grad));
  }
  return most;
}

Verdict Truth::check_loss(double found, Counts* counts) {
  const double off = std::abs(found - outcome_.loss);
  const double allowed = kTolerance * (std::abs(outcome_.loss) + 1);
  if (off <= allowed) return {};
  double spread = 0;
  for (const Outcome& other : noisy()) {
    spread = std::max(spread, std::abs(other.loss - outcome_.loss));
  }
  if (is_too_sharp(off, allowed, spread, counts)) return {};
  return {"loss", format("is %g, should be %g", found, outcome_.loss)};
}

Verdict Truth::check_statistics(const std::map<std::string, const float*>& found, Counts* counts) {
  for (const auto& [name, data] : found) {
    const Leaf* leaf = job_.graph->leaf(name);
    if (leaf == nullptr || leaf->kind != LeafKind::kStatistic) continue;
    const Array& right = outcome_.statistics.at(name);
    const double off = difference(data, right);
    const double allowed = kTolerance * (largest(right) + 1);
    if (off <= allowed) continue;
    double spread = 0;
    for (const Outcome& other : noisy()) {
      spread = std::max(spread, difference(other.statistics.at(name), right));
    }
    if (is_too_sharp(off, allowed, spread, counts)) continue;
    return {"statistic", format("'%s' (of%s) is off by %g", name.c_str(),
                                readers(*job_.graph, name).c_str(), off)};
  }
  return {};
}

Verdict Truth::check_gradients(const std::map<std::string, const float*>& found, Counts* counts) {
  double most = 0;
  for (const auto& [name, grad] : outcome_.grads) most = std::max(most, largest(grad));
  for (const auto& [name, data] : found) {
    const auto known = outcome_.grads.find(name);
    if (known == outcome_.grads.end()) {
      return {"gradient",
              format("'%s' is trained, and the loss does not depend on it", name.c_str())};
    }
    const Array& right = known->second;
    ++counts->tensors;
    const double off = difference(data, right);
    const double allowed = kTolerance * largest(right) + kToleranceOfAll * most;
    if (off <= allowed) continue;
    double spread = 0;
    for (const Outcome& other : noisy()) {
      spread = std::max(spread, difference(other.grads.at(name), right));
    }
    if (is_too_sharp(off, allowed, spread, counts)) continue;
    return {"gradient",
            format("of '%s' (read by%s) is off by %g where the largest element is %g "
                   "(float32's errors: %g)",
                   name.c_str(), readers(*job_.graph, name).c_str(), off, largest(right), spread)};
  }
  return {};
}

Verdict check_output(const Job& job, const Values& leaves, int64_t batch, const float* found,
                     Counts* counts) {
  const auto output = [&](uint64_t noise) {
    return evaluate(*job.graph, leaves, job.input(batch, 0), setting_of(job, 0, false, noise))
        .values.at(job.graph->output);
  };
  const Array right = output(0);
  const double off = difference(found, right);
  const double allowed = kTolerance * largest(right);
  if (off <= allowed) return {};
  double spread = 0;
  for (uint64_t noise = 1; noise <= kNoises; ++noise) {
    spread = std::max(spread, difference(output(noise), right));
  }
  if (is_too_sharp(off, allowed, spread, counts)) return {};
  return {"evaluation", format("the output is off by %g where the largest element is %g (float32's "
                               "errors: %g)",
                               off, largest(right), spread)};
}

}  // namespace ft::fuzz
