#pragma once

// An operator: what the importer asks (does it exist, which shapes come out), what the memory plan
// asks (what must be kept from forward to backward), and the kernel that runs. One file per op,
// one line per op in op_table.cpp; kernels/README.md says how to add one.
//
// Life of an op instance: make(request) checks attributes and shapes once and binds them into a
// Kernel. A Kernel is immutable: the same instance may run for several micro-batches in flight;
// whatever differs comes with the call. Kernels allocate nothing while running.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/tensor.h"
#include "kernels/thread_pool.h"
#include "runtime/base/status.h"

namespace ft {

using Attribute =
    std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>>;

// ONNX attributes by name. A getter returns the fallback when the name is absent and an error when
// the type is another one.
class Attributes {
 public:
  void set(const std::string& name, Attribute value) { values_[name] = std::move(value); }
  bool has(const std::string& name) const { return values_.count(name) != 0; }
  Result<int64_t> get_int(const std::string& name, int64_t fallback) const;
  Result<float> get_float(const std::string& name, float fallback) const;
  Result<std::string> get_string(const std::string& name, const std::string& fallback) const;
  Result<std::vector<int64_t>> get_ints(const std::string& name,
                                        const std::vector<int64_t>& fallback) const;
  const std::map<std::string, Attribute>& values() const { return values_; }

 private:
  std::map<std::string, Attribute> values_;
};

// Which random numbers and which rows a call is about (DESIGN 3): row r of the call is row
// row_first + r of batch `batch`.
struct StepId {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t batch = 0;
  int64_t row_first = 0;
};

enum class Mode : uint8_t {
  kTrain,  // forward saves what backward needs; dropout drops; batch norm uses the batch
  kInfer,  // forward only; batch norm uses the running statistics, dropout is the identity
};

struct OpInput {
  TensorType type;
  bool present = true;             // false: an optional input left out
  const void* constant = nullptr;  // the bytes, when the value is known at import
};

struct OpRequest {
  const Attributes* attributes = nullptr;
  std::span<const OpInput> inputs;
  int output_count = 1;
  int opset = 14;
  Mode mode = Mode::kTrain;
  uint32_t node = 0;  // index in the model: names the node's random stream
};

struct ForwardArgs {
  std::span<const void* const> inputs;  // null where an optional input is left out
  std::span<void* const> outputs;
  std::byte* stash = nullptr;      // KernelPlan::stash_bytes, kept until the same call's backward
  std::byte* workspace = nullptr;  // KernelPlan::forward_workspace_bytes, 64-byte aligned
  ThreadPool* pool = nullptr;
  StepId step;
};

struct BackwardArgs {
  std::span<const void* const> inputs;         // null unless in KernelPlan::saved_inputs
  std::span<const void* const> outputs;        // null unless in KernelPlan::saved_outputs
  std::span<const float* const> grad_outputs;  // [0] is never null; others null if nobody uses them
  std::span<float* const> grad_inputs;         // null where no gradient is wanted; overwritten
  const std::byte* stash = nullptr;
  std::byte* workspace = nullptr;  // KernelPlan::backward_workspace_bytes, 64-byte aligned
  ThreadPool* pool = nullptr;
  StepId step;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void forward(const ForwardArgs& args) const = 0;
  // Never called in kInfer mode nor when Op::has_gradient is false.
  virtual void backward(const BackwardArgs& args) const = 0;
  // Output 0 once more, before backward, with the bits that forward wrote; nothing else is written.
  // The stash is as forward left it. Called only when KernelPlan::recomputes.
  virtual void recompute(const ForwardArgs& args) const { forward(args); }
};

// What one op instance needs and makes. Bit i of a mask speaks of input or output i.
struct KernelPlan {
  std::unique_ptr<const Kernel> kernel;
  std::vector<TensorType> outputs;
  uint32_t saved_inputs = 0;   // inputs that backward reads
  uint32_t saved_outputs = 0;  // outputs that backward reads
  int64_t stash_bytes = 0;     // private data from forward to backward (argmax, 1/sigma, mask)
  int64_t forward_workspace_bytes = 0;
  int64_t backward_workspace_bytes = 0;
  // Output 0 is input 0 under another shape: no kernel runs, both share storage, and so do their
  // gradients.
  bool is_view = false;
  // forward allows outputs[0] == inputs[0]; backward allows grad_inputs[0] == grad_outputs[0].
  bool in_place = false;
  // One cheap pass makes output 0 again from the inputs: where those are kept, the output need not
  // be. The one output is all that forward writes, or the kernel has a recompute of its own.
  bool recomputes = false;
  uint32_t recompute_inputs = ~0U;  // inputs that this pass reads; null for the others
  // The gradient of input 0 and those of the others have nothing in common: two calls of backward,
  // each with the others null, cost no more than one.
  bool splits_backward = false;
  double flops = 0;  // of one forward call, multiply and add counted as two
};

// How an op meets the layout rule in tensor.h; the importer inserts transposes where neighbours
// disagree.
enum class LayoutRule : uint8_t {
  kFeatureMap,   // input 0 and output 0 are CNHW (rank >= 3)
  kElementwise,  // any layout, same for all inputs (constants are rewritten); output alike
  kAxis,         // as kElementwise; the attribute `axis` is rewritten along
  kRowMajor,     // logical order only
};

// Which elements of the inputs an element of the output depends on: from this the importer follows
// the rows of a batch through the model (onnx_import/rows.h) and knows where they meet.
enum class RowRule : uint8_t {
  kElementwise,   // those at its own index, with broadcasting
  kView,          // the one with its row-major position
  kTranspose,     // the one whose index is permuted by `perm`
  kAxis,          // all along the attribute `axis`
  kConcat,        // one; the inputs stand side by side along the attribute `axis`
  kReduce,        // all along the attribute `axes`
  kMatMul,        // a row of one matrix and a column of the other
  kGemm,          // likewise, with the attributes transA and transB
  kConvolution,   // of CNHW operands all channels and neighbours in space, never another image
  kPool,          // of CNHW operands its own channel, neighbours in space, never another image
  kBatchNorm,     // of CNHW operands all of its own channel; rows meet here by intention
  kInstanceNorm,  // of CNHW operands all of its own channel and image
};

struct Op {
  const char* name;  // as in ONNX, domain ai.onnx
  int opset_min;
  int opset_max;
  LayoutRule layout;
  RowRule rows;
  bool has_gradient;
  // Errors: kInvalid, saying what does not fit ("group 3 does not divide 16 channels"); the caller
  // adds the node.
  Result<KernelPlan> (*make)(const OpRequest& request);
};

// Null when the op is not supported at all.
const Op* find_op(std::string_view name);
std::span<const Op> op_table();

}  // namespace ft
