#pragma once

// FakeExecutor: a range of layers on digests. It keeps versions as the real one does: parameters
// and optimizer state by step, running statistics by forward pass, and drops what retain says.

#include <map>
#include <string>
#include <vector>

#include "runtime/pipeline/step.h"
#include "tests/sim/arithmetic.h"
#include "tests/sim/violations.h"

namespace ft::sim {

class FakeExecutor {
 public:
  FakeExecutor(const RunSpec* spec, std::string name, Violations* violations)
      : spec_(*spec), name_(std::move(name)), violations_(*violations) {}

  TaskResult run(const Task& task);

 private:
  using Parameters = std::map<int, std::pair<Digest, Digest>>;  // with optimizer state, by layer
  using Statistics = std::map<int, Digest>;
  struct Flight {
    int64_t version = 0;
    Digest gradient = 0;  // of the loss; last stage
  };

  void configure(const Task& task, TaskResult* result);
  void forward(const Task& task, TaskResult* result);
  void backward(const Task& task, TaskResult* result);
  void step(const Task& task);
  void evaluate(const Task& task, TaskResult* result);
  void snapshot(const Task& task, TaskResult* result);
  bool has(int64_t version, const char* what);
  int64_t bytes_of_value(int32_t id) const;
  bool is_last() const { return range_.last == spec_.layers; }
  void score(Digest output, Digest labels, int64_t rows, TaskResult* result) const;

  const RunSpec& spec_;
  std::string name_;
  Violations& violations_;
  LayerRange range_;
  std::map<int64_t, Parameters> parameters_;
  std::map<int64_t, Statistics> statistics_;
  Statistics head_;  // as the newest forward pass left it
  std::map<std::pair<int64_t, int32_t>, Flight> flights_;
  std::map<int, Digest> gradients_;
};

}  // namespace ft::sim
