#pragma once

// RangeProgram: the nodes of a range of layers compiled into steps with fixed storage, for one
// mode.
//
// Storage of a value, decided here once:
// - a tensor that crosses the range's edges lives in a Buffer of its own, shared with the messages;
// - what backward reads lives in the stash: one block per micro-batch in flight; with never more
//   than one in flight it lives in the work block, where backward reuses what it has read;
// - of that, a value that can be made again from others in the stash by cheap passes
//   (KernelPlan::recomputes) is not kept: it is made again right before backward reads it first;
// - the rest lives in the work block, which all micro-batches share, packed by lifetime;
// - parameters, statistics and constants are read where they are.
// Views and in-place results share their input's storage (a group).
//
// Gradients of a value with several consumers are added from the last consumer to the first,
// wherever the cuts are (DESIGN 3): the gradient received for a value that crosses the end of the
// range is the sum of the later consumers, and the local ones are added to it.

#include <cstdint>
#include <memory>
#include <vector>

#include "onnx_import/model.h"
#include "runtime/base/status.h"
#include "runtime/exec/layer_state.h"

namespace ft {

enum class Region : uint8_t {
  kNone,
  kConstant,       // index: ValueId
  kParameter,      // index: layer in the range; offset in its parameter buffer
  kStatistic,      // likewise in its statistics
  kNextStatistic,  // likewise in the version that forward writes
  kInput,          // index: position in inputs
  kOutput,         // index: position in outputs
  kStash,
  kWork,
  kParameterGradient,  // index: layer in the range; offset in its gradient buffer
  kReceivedGradient,   // index: position in received_gradients; read only
  kSentGradient,       // index: position in sent_gradients
};

struct Location {
  Region region = Region::kNone;
  int32_t index = 0;
  int64_t offset = 0;  // bytes
};

struct ForwardStep {
  const Kernel* kernel = nullptr;
  int32_t node = 0;  // in the range
  std::vector<Location> inputs;
  std::vector<Location> outputs;
  Location stash;
  Location workspace;
};

struct CopyStep {
  Location source;
  Location target;
  int64_t bytes = 0;
};

// target = a + b, elementwise; target may be a.
struct AddStep {
  Location a;
  Location b;
  Location target;
  int64_t elements = 0;
};

// The gradients of one layer's parameters, all of them.
struct LayerGradient {
  int32_t layer = 0;  // in the range
  Location location;  // LayerLayout::parameter_count floats
};

struct BackwardStep {
  const Kernel* kernel = nullptr;  // null: only copies and additions
  int32_t node = 0;                // in the range; meaningless without a kernel
  // Before the kernel, in this order: values it reads that were not kept (Kernel::recompute).
  std::vector<ForwardStep> recomputes;
  std::vector<Location> inputs;
  std::vector<Location> outputs;
  std::vector<Location> grad_outputs;
  std::vector<Location> grad_inputs;
  Location stash;
  Location workspace;
  // After the kernel, in this order.
  std::vector<CopyStep> copies;
  std::vector<AddStep> additions;
  std::vector<LayerGradient> finished;  // of layers whose gradients are complete behind this step
};

struct BackwardOptions {
  // A micro-batch's backward comes before anything else runs: there is no stash.
  bool one_in_flight = false;
  // Parameters' gradients that can be are computed after all others. The bits are the same; it
  // takes more work memory.
  bool defers = false;
  // A layer's gradients are gone when backward goes on from the step that completes them: they live
  // in the work block, and whoever runs the program uses them there and then.
  bool steps_by_layer = false;
};

struct RangeProgram {
  LayerRange range;
  Mode mode = Mode::kTrain;
  std::vector<ValueId> inputs;              // cross the start of the range, ascending
  std::vector<ValueId> outputs;             // cross its end
  std::vector<ValueId> received_gradients;  // of outputs that need one
  std::vector<ValueId> sent_gradients;      // of inputs that need one
  std::vector<int32_t> passed_outputs;      // per output: position in inputs it is, or -1
  std::vector<int32_t> passed_gradients;    // per sent gradient: position in received, or -1

  std::vector<ForwardStep> forward;
  std::vector<CopyStep> forward_copies;  // after the steps
  std::vector<BackwardStep> backward;    // in order of execution
  // After those, when the gradients are sent: parameters' gradients that nobody waits for.
  std::vector<BackwardStep> deferred;
  bool steps_by_layer = false;             // as asked for, where that is possible
  std::vector<Location> unused_gradients;  // parameters that no loss depends on: zeroed
  std::vector<int64_t> unused_gradient_bytes;
  std::vector<int32_t> empty_sent;  // sent gradients that nothing contributes to: zeroed

  int64_t stash_bytes = 0;
  int64_t work_bytes = 0;
  int64_t kept_bytes = 0;  // from forward to backward, in the stash or the work block
  double flops = 0;        // forward

  std::vector<KernelPlan> plans;  // owns the kernels; by node - first node
};

// REQUIRES: 0 <= range.first < range.last <= model.layer_count(). `layouts` are the whole model's.
// `steps_by_layer` is not possible where a parameter has no gradient, or one from a later range.
Result<std::unique_ptr<const RangeProgram>> compile_range(const Model& model, LayerRange range,
                                                          const std::vector<LayerLayout>& layouts,
                                                          Mode mode,
                                                          const BackwardOptions& options = {});

}  // namespace ft
