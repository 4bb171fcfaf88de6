#include "tests/sim/task_checker.h"

#include <algorithm>

#include "runtime/base/status.h"

namespace ft::sim {

bool Ownership::own(uint64_t term, int layer, uint64_t process, PeerId central) {
  Owner& owner = owners_.emplace(std::pair(term, layer), Owner{process, central}).first->second;
  const bool other = owner.central != central;
  const bool dead = dead_centrals_.count(owner.process) != 0;
  if (other && !dead && owner.process != process) contested_ = {owner.central, central};
  if (other || dead) {
    owner = {process, central};
    std::erase_if(steps_, [&](const auto& entry) {
      return std::get<0>(entry.first) == term && std::get<1>(entry.first) == layer;
    });
  }
  return owner.process == process;
}

void TaskChecker::require(bool holds, const char* what, const Task& task) {
  if (holds) return;
  violations_.add(
      format("%s: %s (task %d, term %llu, batch %lld, micro-batch %d, version %lld)", name_.c_str(),
             what, static_cast<int>(task.kind), static_cast<unsigned long long>(task.term),
             static_cast<long long>(task.batch), task.micro, static_cast<long long>(task.version)));
}

int64_t TaskChecker::version_used(int64_t batch) const {
  return spec_.sync ? batch - 1 : std::max(batch - (stages_ - stage_), resumed_);
}

void TaskChecker::started(const Task& task) {
  require(!running_, "two tasks at a time", task);
  running_ = true;
  if (task.kind == TaskKind::kConfigure) return configured(task);
  if (task.kind == TaskKind::kMeasure) return;
  require(task.term == term_, "a task of a term that was not configured", task);
  const int64_t micros = spec_.micros();
  const int64_t first = (resumed_ + 1) * micros;
  const int64_t index = task.batch * micros + task.micro;
  switch (task.kind) {
    case TaskKind::kForward:
      require(index == first + forwards_, "a forward pass out of order", task);
      require(task.version == version_used(task.batch), "a forward pass of a wrong version", task);
      require(task.version <= version_, "a forward pass of a version not made yet", task);
      ownership_.in_flight(forwards_ + 1 - backwards_);
      if (forwards_ == 0) own_layers(task);
      require(++forwards_ - backwards_ <= stages_ - stage_, "too many batches in flight", task);
      break;
    case TaskKind::kBackward:
      require(index == first + backwards_, "a backward pass out of order", task);
      require(++backwards_ <= forwards_, "a backward pass before its forward pass", task);
      break;
    case TaskKind::kStep:
      stepped(task);
      break;
    case TaskKind::kEvaluate:
      require(spec_.is_evaluated(task.version) && task.version <= version_,
              "an evaluation of a version that is no evaluated cut", task);
      // What lies between forward and backward is where an evaluation works, if it is one batch.
      require(stages_ - stage_ > 1 || forwards_ == backwards_,
              "an evaluation between forward and backward at the last stage", task);
      break;
    case TaskKind::kSnapshot:
      require(task.version <= version_, "a snapshot of a version not made yet", task);
      require(task.layer >= range_.first && task.layer < range_.last,
              "a snapshot of somebody else's layer", task);
      break;
    default:
      break;
  }
}

void TaskChecker::configured(const Task& task) {
  const net::LayerRange& range = task.assign.stages(task.stage).range();
  require(task.term > term_, "configured twice in a term", task);
  term_ = task.term;
  central_ = task.assign.central();
  range_ = {range.first(), range.last()};
  stage_ = task.stage;
  stages_ = task.assign.stages_size();
  resumed_ = task.version;
  version_ = task.version;
  forwards_ = 0;
  backwards_ = 0;
}

void TaskChecker::own_layers(const Task& task) {
  for (int layer = range_.first; layer < range_.last; ++layer) {
    require(ownership_.own(term_, layer, process_, central_), "a layer with two owners in a term",
            task);
  }
}

void TaskChecker::stepped(const Task& task) {
  require(task.batch == version_ + 1, "a step out of order", task);
  require(backwards_ == (task.batch - resumed_) * spec_.micros(),
          "a step before all gradients are there", task);
  version_ = task.batch;
  int64_t mean_from = task.batch;
  if (!spec_.sync && spec_.aggregate_every > 0 && (task.batch + 1) % spec_.aggregate_every == 0) {
    mean_from = std::max(resumed_, task.batch - (stages_ - stage_) + 1);
  }
  require(task.mean_from == mean_from, "a mean over the wrong versions", task);
  for (int layer = range_.first; layer < range_.last; ++layer) {
    ownership_.step(term_, layer, task.batch);
  }
}

}  // namespace ft::sim
