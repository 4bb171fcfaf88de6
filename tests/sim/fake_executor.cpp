#include "tests/sim/fake_executor.h"

#include <algorithm>

namespace ft::sim {
namespace {

// Two values cross every other cut: transfers of one micro-batch differ by item.
std::vector<int32_t> values_of_cut(int cut) {
  if (cut % 2 == 0) return {2 * cut};
  return {2 * cut, 2 * cut + 1};
}

Digest second_value(Digest first) { return combine(first, 0, 40); }
constexpr int64_t kDigestBytes = sizeof(Digest);

constexpr int64_t kLabelRowBytes = 8;

}  // namespace

TaskResult FakeExecutor::run(const Task& task) {
  TaskResult result;
  result.kind = task.kind;
  result.term = task.term;
  result.batch = task.batch;
  result.micro = task.micro;
  result.version = task.version;
  result.layer = task.layer;
  switch (task.kind) {
    case TaskKind::kConfigure:
      configure(task, &result);
      break;
    case TaskKind::kForward:
      forward(task, &result);
      break;
    case TaskKind::kBackward:
      backward(task, &result);
      break;
    case TaskKind::kStep:
      step(task);
      break;
    case TaskKind::kEvaluate:
      evaluate(task, &result);
      break;
    case TaskKind::kSnapshot:
      snapshot(task, &result);
      break;
    case TaskKind::kMeasure:
      result.layers = spec_.layers;
      break;
  }
  return result;
}

// With a pace the first value of a cut is as large as all of a real model's.
int64_t FakeExecutor::bytes_of_value(int32_t id) const {
  const std::vector<CutSize>& cuts = spec_.pace.cuts;
  const auto cut = static_cast<size_t>(id / 2);
  return id % 2 == 0 && cut < cuts.size() ? cuts[cut].forward_bytes : kDigestBytes;
}

bool FakeExecutor::has(int64_t version, const char* what) {
  if (parameters_.count(version) != 0 && statistics_.count(version) != 0) return true;
  violations_.add(name_ + " lacks version " + std::to_string(version) + " for " + what);
  return false;
}

void FakeExecutor::configure(const Task& task, TaskResult* result) {
  const net::LayerRange& range = task.assign.stages(task.stage).range();
  range_ = {range.first(), range.last()};
  parameters_.clear();
  statistics_.clear();
  flights_.clear();
  for (int layer = range_.first; layer < range_.last; ++layer) {
    const ConstBufferPtr& snapshot = task.snapshots.at(static_cast<size_t>(layer - range_.first));
    LayerDigests state = initial_state(layer);
    if ((snapshot == nullptr) != (task.version < 0)) {
      violations_.add(name_ + " is configured at version " + std::to_string(task.version) +
                      " without the state of layer " + std::to_string(layer));
    } else if (snapshot != nullptr && !unwrap_state(*snapshot, &state)) {
      violations_.add(name_ + " got a damaged snapshot of layer " + std::to_string(layer));
    }
    parameters_[task.version][layer] = {state.parameters, state.optimizer};
    statistics_[task.version][layer] = state.statistics;
  }
  head_ = statistics_[task.version];
  result->layer_bytes = spec_.layer_bytes;
  result->inputs = values_of_cut(range_.first);
  result->outputs = values_of_cut(range_.last);
  if (!is_last()) result->received_gradients = {2 * range_.last};
  if (task.stage > 0) result->sent_gradients = {2 * range_.first};
  for (const auto* ids : {&result->inputs, &result->outputs}) {
    for (const int32_t id : *ids) result->value_bytes[id] = bytes_of_value(id);
  }
  result->label_row_bytes = kLabelRowBytes;
}

void FakeExecutor::score(Digest output, Digest labels, int64_t rows, TaskResult* result) const {
  result->loss_sum = loss_of(output, labels);
  result->rows = rows;
  result->correct = correct_of(output, labels, rows);
}

void FakeExecutor::forward(const Task& task, TaskResult* result) {
  if (!has(task.version, "a forward pass")) return;
  Digest value = unwrap(task.tensors.at(0));
  if (task.tensors.size() > 1 && unwrap(task.tensors[1]) != second_value(value)) {
    violations_.add(name_ + ": inputs of different batches");
  }
  for (int layer = range_.first; layer < range_.last; ++layer) {
    head_[layer] = move_statistics(head_[layer], value);
    value = sim::forward(value, parameters_.at(task.version).at(layer).first);
  }
  if (task.micro == spec_.micros() - 1) statistics_[task.batch] = head_;
  Flight& flight = flights_[{task.batch, task.micro}];
  flight.version = task.version;
  result->tensors = {wrap(value, bytes_of_value(2 * range_.last))};
  if (values_of_cut(range_.last).size() > 1) result->tensors.push_back(wrap(second_value(value)));
  if (!is_last()) return;
  const Digest labels = unwrap(task.labels);
  flight.gradient = first_gradient(value, labels);
  score(value, labels, kRows, result);
}

void FakeExecutor::backward(const Task& task, TaskResult* result) {
  const auto found = flights_.find({task.batch, task.micro});
  if (found == flights_.end()) {
    violations_.add(name_ + ": a backward pass without its forward pass");
    return;
  }
  const Flight flight = found->second;
  flights_.erase(found);
  if (!has(flight.version, "a backward pass")) return;
  Digest gradient = task.tensors.empty() ? flight.gradient : unwrap(task.tensors[0]);
  for (int layer = range_.last; layer-- > range_.first;) {
    gradient = sim::backward(gradient, parameters_.at(flight.version).at(layer).first);
    Digest& sum = gradients_[layer];
    sum = add_gradient(task.micro == 0 ? 0 : sum, gradient);
  }
  result->tensors = {wrap(gradient, bytes_of_value(2 * range_.first))};
}

void FakeExecutor::step(const Task& task) {
  if (!has(task.batch - 1, "a step") ||
      !has(task.mean_from == task.batch ? task.batch - 1 : task.mean_from, "a mean")) {
    return;
  }
  Parameters& next = parameters_[task.batch];
  for (int layer = range_.first; layer < range_.last; ++layer) {
    const auto [parameters, optimizer] = parameters_.at(task.batch - 1).at(layer);
    const LayerDigests old{parameters, optimizer, 0};
    Digest made = step_parameters(old, gradients_[layer]);
    if (task.mean_from < task.batch) {
      Digest sum = parameters_.at(task.mean_from).at(layer).first;
      for (int64_t v = task.mean_from + 1; v < task.batch; ++v) {
        sum = add_to_mean(sum, parameters_.at(v).at(layer).first);
      }
      made = add_to_mean(sum, made);
    }
    next[layer] = {made, step_optimizer(old, gradients_[layer])};
  }
  const auto is_dropped = [&](const auto& entry) {
    return entry.first < task.retain_oldest &&
           std::count(task.retain_cuts.begin(), task.retain_cuts.end(), entry.first) == 0;
  };
  std::erase_if(parameters_, is_dropped);
  std::erase_if(statistics_, is_dropped);
}

void FakeExecutor::evaluate(const Task& task, TaskResult* result) {
  if (!has(task.version, "an evaluation")) return;
  Digest value = unwrap(task.tensors.at(0));
  for (int layer = range_.first; layer < range_.last; ++layer) {
    value = sim::evaluate(value, parameters_.at(task.version).at(layer).first,
                          statistics_.at(task.version).at(layer));
  }
  result->tensors = {wrap(value, bytes_of_value(2 * range_.last))};
  if (values_of_cut(range_.last).size() > 1) result->tensors.push_back(wrap(second_value(value)));
  if (!is_last()) return;
  score(value, unwrap(task.labels), static_cast<int64_t>(task.labels->size()) / kLabelRowBytes,
        result);
}

void FakeExecutor::snapshot(const Task& task, TaskResult* result) {
  LayerDigests state;
  if (has(task.version, "a snapshot")) {
    const auto [parameters, optimizer] = parameters_.at(task.version).at(task.layer);
    state = {parameters, optimizer, statistics_.at(task.version).at(task.layer)};
  }
  result->tensors = {wrap_state(state, spec_.layer_bytes.at(static_cast<size_t>(task.layer)))};
}

}  // namespace ft::sim
