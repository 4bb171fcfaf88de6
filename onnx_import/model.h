#pragma once

// Model: what is left of an ONNX file once ONNX is done with: values, nodes in execution order, and
// layers. Shapes are physical (feature maps CNHW, see kernels/tensor.h) and bound to one batch
// size. A Model is immutable after import and may be shared between threads.
//
// The same file imported with another batch size has the same values, nodes, layers, parameters and
// ids; only shapes differ.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/op.h"
#include "kernels/tensor.h"
#include "runtime/base/buffer.h"
#include "runtime/base/layer_range.h"

namespace ft {

using ValueId = int32_t;
constexpr ValueId kNoValue = -1;

enum class ValueKind : uint8_t {
  kInput,       // the samples; one per model
  kActivation,  // made by a node
  kParameter,   // trained; belongs to the layer of its first consumer
  kStatistic,  // a running statistic: moved by the forward pass (training-mode batch norm) or fixed
  kUpdate,     // a node's output that is the next version of a statistic (Value::updates)
  kConstant,   // known at import
};

struct Value {
  std::string name;  // as in the file; copies of a shared initializer get a suffix
  ValueKind kind = ValueKind::kActivation;
  TensorType type;
  // Initial bytes of a parameter or statistic, bytes of a constant; null otherwise. Row-major in
  // the order of type.shape, which for parameters has the file's element order.
  ConstBufferPtr data;
  ValueId updates = kNoValue;      // kUpdate: the statistic
  int32_t producer = -1;           // index of the node, -1 if none
  std::vector<int32_t> consumers;  // indices of nodes, ascending; a node twice if it uses it twice
  // A loss's gradient with respect to it is wanted: parameters, and activations that depend on one.
  bool needs_gradient = false;
  bool is_frozen = false;  // kConstant: a parameter that does not train
};

struct Node {
  std::string name;  // as in the file, or made from the op and its output
  const Op* op = nullptr;
  Attributes attributes;  // of the physical op: axes are rewritten where the layout moved them
  int opset = 0;
  std::vector<ValueId> inputs;   // kNoValue where an optional input is left out
  std::vector<ValueId> outputs;  // kNoValue where nobody wants it
};

// Nodes [node_first, node_last) between two neighbouring cut points.
struct Layer {
  std::string name;
  int32_t node_first = 0;
  int32_t node_last = 0;
  std::vector<ValueId> parameters;  // owned: first used here; ascending
  std::vector<ValueId> statistics;  // ascending
};

// What a tensor of the file is. docs/tensors.md has the rules.
enum class TensorRole : uint8_t {
  kTrained,    // a parameter
  kFrozen,     // a parameter that does not train, because a person said so
  kBuffer,     // data that belongs to the model and that nobody trains: a mean, a mask
  kStatistic,  // a batch norm's running mean or variance
  kConstant,   // a number: a bound, an exponent
};

// An input of a node of the file.
struct TensorRead {
  int node = 0;   // its position in the file
  int input = 0;  // its position at the node
};

struct TensorInfo {
  std::string name;
  Shape shape;  // as in the file
  bool is_float = true;
  TensorRole role = TensorRole::kConstant;
  std::string reason;   // half a sentence
  std::string tied_to;  // the tensor that it is one with; that one's role is its own
  std::string copy_of;  // the file has one tensor for this and that one
  ConstBufferPtr data;  // kFrozen: the bytes
  // For the way back into the file. A copy is written as an initializer that these read.
  std::vector<TensorRead> reads;
  int identity = -1;       // the Identity node that makes the copy, or -1
  int constant_node = -1;  // the Constant node that holds it, or -1
};

struct Model {
  std::vector<Value> values;
  std::vector<Node> nodes;    // in execution order
  std::vector<Layer> layers;  // cover the nodes, in order
  ValueId input = kNoValue;
  ValueId output = kNoValue;
  int64_t batch = 0;
  Shape sample_shape;  // of one sample in logical order, e.g. {3, 32, 32}
  // Where a sample's result depends on the others of its batch ("node 'x' (ReduceMean) takes ..."),
  // so that only whole batches can be computed; empty: nowhere but in batch norm.
  std::string rows_meet;
  // What was decided for the user, a sentence each, with the option that decides otherwise.
  std::vector<std::string> notes;
  std::vector<TensorInfo> tensors;  // in order of first use, those of copies after them

  int layer_count() const { return static_cast<int>(layers.size()); }
  const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
};

// The same without the initial bytes of parameters and statistics, which nobody needs once training
// has begun: they are as much memory as the parameters themselves. Constants stay.
std::shared_ptr<const Model> without_weights(const Model& model);
// Lets go of one layer's.
void drop_weights(Model* model, int layer);

// What an OpRequest needs to know of a node's inputs. Constants point into the model.
std::vector<OpInput> op_inputs(const Model& model, const Node& node);

// Values that cross the cut before layer `cut` (made or owned before it, used at or after it),
// ascending: activations, the model's input, tied parameters; constants never cross. For cut ==
// layer_count() the model's output alone.
std::vector<ValueId> crossing_values(const Model& model, int cut);

// Bytes of the crossing values for one pass; with `gradients` only those that send one back.
int64_t crossing_bytes(const Model& model, int cut, bool gradients);

}  // namespace ft
