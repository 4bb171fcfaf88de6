#pragma once

// Runs one operator as the executor does, and hostile where the contract allows it: outputs, stash
// and workspaces hold NaN before the call, inputs and outputs that the plan does not save are null
// in backward, and every array ends in a canary.

#include <memory>
#include <vector>

#include "kernels/op.h"
#include "tests/kernels/op_case.h"

namespace ft {

using Tensors = std::vector<std::vector<float>>;  // empty where there is none, or not float32

struct RunOptions {
  Mode mode = Mode::kTrain;
  int threads = 1;
  // Each direction that allows it writes over its input, as the executor may let it.
  bool in_place = false;
};

class OpRunner {
 public:
  // Stops the test when the op is unknown or its make() refuses the case.
  OpRunner(const OpCase& op_case, const RunOptions& options);
  ~OpRunner();

  const KernelPlan& plan() const { return plan_; }
  bool can_forward_in_place() const;
  bool can_backward_in_place() const;

  // The case's values of an input, to start from.
  const Tensors& inputs() const { return inputs_; }

  // All outputs. `inputs` replaces the case's values where it is not empty.
  Tensors forward(const Tensors& inputs);

  // Gradients of the inputs after the last forward(), empty where not `wanted`.
  Tensors backward(const std::vector<float>& grad_output, const std::vector<bool>& wanted);

 private:
  class Array;
  using ArrayPtr = std::unique_ptr<Array>;

  const OpCase case_;
  RunOptions options_;
  ThreadPool pool_;
  KernelPlan plan_;
  Tensors inputs_;
  std::vector<ArrayPtr> input_arrays_;
  std::vector<ArrayPtr> output_arrays_;
  ArrayPtr stash_;
};

// Status of make() alone, for tests of refusals.
Result<KernelPlan> make_plan(const OpCase& op_case, Mode mode = Mode::kTrain);

}  // namespace ft
