#include "tests/sim/oracle.h"

#include <algorithm>

namespace ft::sim {
namespace {

// Which stage runs a layer, of how many, since which version.
struct Configuration {
  std::vector<int64_t> stage_of;  // by layer
  int64_t stages = 1;
  int64_t resumed = -1;
};

Configuration configuration_of(const RunSpec& spec, const net::Record& record, int64_t batch) {
  Configuration made;
  made.stage_of.assign(static_cast<size_t>(spec.layers), 0);
  if (spec.sync) return made;
  const net::RecordEntry* entry = nullptr;
  for (const net::RecordEntry& candidate : record.entries()) {
    if (candidate.first_batch() <= batch) entry = &candidate;
  }
  if (entry == nullptr) return made;
  made.stages = entry->ranges_size();
  made.resumed = entry->first_batch() - 1;
  for (int s = 0; s < entry->ranges_size(); ++s) {
    for (int l = entry->ranges(s).first(); l < entry->ranges(s).last(); ++l) {
      made.stage_of.at(static_cast<size_t>(l)) = s;
    }
  }
  return made;
}

using States = std::vector<LayerDigests>;

Outcome::Evaluation evaluate_cut(const RunSpec& spec, const States& states) {
  double loss = 0;
  int64_t correct = 0;
  for (int64_t index = 0; index < spec.evaluation_batches; ++index) {
    Digest value = input_of(true, index, 0);
    for (const LayerDigests& state : states) {
      value = evaluate(value, state.parameters, state.statistics);
    }
    const Digest labels = labels_of(true, index, 0);
    loss += loss_of(value, labels);
    correct += correct_of(value, labels, spec.rows_of_evaluation(index));
  }
  const auto rows = static_cast<double>(spec.evaluation_rows());
  return {loss / rows, static_cast<double>(correct) / rows};
}

}  // namespace

Outcome replay(const RunSpec& spec, const net::Record& record, int64_t batches) {
  Outcome outcome;
  const auto layers = static_cast<size_t>(spec.layers);
  std::map<int64_t, States> versions;
  for (int layer = 0; layer < spec.layers; ++layer) {
    versions[-1].push_back(initial_state(layer));
  }
  for (int64_t batch = 0; batch < batches; ++batch) {
    const Configuration at = configuration_of(spec, record, batch);
    const auto used = [&](size_t layer) {
      return spec.sync ? batch - 1 : std::max(batch - (at.stages - at.stage_of[layer]), at.resumed);
    };
    States next = versions[batch - 1];
    std::vector<Digest> gradients(layers, 0);
    double loss = 0;
    for (int32_t micro = 0; micro < spec.micros(); ++micro) {
      Digest value = input_of(false, batch, micro);
      for (size_t l = 0; l < layers; ++l) {
        next[l].statistics = move_statistics(next[l].statistics, value);
        value = forward(value, versions[used(l)][l].parameters);
      }
      const Digest labels = labels_of(false, batch, micro);
      loss += loss_of(value, labels);
      Digest gradient = first_gradient(value, labels);
      for (size_t l = layers; l-- > 0;) {
        gradient = backward(gradient, versions[used(l)][l].parameters);
        gradients[l] = add_gradient(gradients[l], gradient);
      }
    }
    outcome.losses.push_back(loss / static_cast<double>(kRows * spec.micros()));
    for (size_t l = 0; l < layers; ++l) {
      const LayerDigests& old = versions[batch - 1][l];
      next[l].parameters = step_parameters(old, gradients[l]);
      next[l].optimizer = step_optimizer(old, gradients[l]);
      if (spec.sync || spec.aggregate_every == 0 || (batch + 1) % spec.aggregate_every != 0) {
        continue;
      }
      const int64_t from = std::max(at.resumed, batch - (at.stages - at.stage_of[l]) + 1);
      if (from >= batch) continue;
      Digest sum = versions[from][l].parameters;
      for (int64_t v = from + 1; v < batch; ++v) sum = add_to_mean(sum, versions[v][l].parameters);
      next[l].parameters = add_to_mean(sum, next[l].parameters);
    }
    versions[batch] = next;
    if (spec.is_evaluated(batch)) outcome.evaluations[batch] = evaluate_cut(spec, next);
    versions.erase(versions.begin(), versions.lower_bound(batch - 8));
  }
  outcome.state = versions[batches - 1];
  return outcome;
}

}  // namespace ft::sim
