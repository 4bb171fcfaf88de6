#pragma once

// ModelBuilder: the model while it grows, and what the names of the file stand for in it. A value
// of the file may exist in two orders (N, C, ... and C, N, ...): the second one is made by a
// Transpose when it is first asked for, and kept for whoever asks again.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "onnx_import/constant.h"
#include "onnx_import/layout.h"
#include "onnx_import/model.h"
#include "runtime/base/status.h"

namespace ft {

// What a name of the file stands for.
struct Binding {
  enum class Kind : uint8_t {
    kUnknown,   // its node was refused
    kConstant,  // known at import
    kValue,     // a value of the model
  };
  Kind kind = Kind::kUnknown;
  std::string name;
  Constant constant;
  ValueKind value_kind = ValueKind::kActivation;
  TensorType type;             // in logical order
  ValueId logical = kNoValue;  // at least one of the two exists for kValue
  ValueId swapped = kNoValue;
  bool is_feature_map = false;  // made in CNHW order
  bool is_shared = false;       // several nodes of the file read it
  bool needs_gradient = false;
  bool is_from_shapes = false;  // kConstant: computed from shapes, which know the batch
  // kUnknown: would be a constant if the shapes behind it were known.
  bool is_shape_like = false;

  bool is_fixed() const {
    return kind == Kind::kConstant || value_kind == ValueKind::kParameter ||
           value_kind == ValueKind::kConstant || value_kind == ValueKind::kStatistic;
  }
};

class ModelBuilder {
 public:
  explicit ModelBuilder(int opset) : opset_(opset) {}

  // A new name. The reference is valid until the next call.
  Binding& bind(const std::string& name);
  // Another name for the same thing.
  void alias(const std::string& name, const std::string& target);
  bool is_bound(const std::string& name) const { return names_.count(name) != 0; }
  // REQUIRES: bound.
  Binding& find(const std::string& name);

  ValueId add_value(Value value);

  // The value in that order, beside operands of `rank` (which matters for constants and
  // parameters that are broadcast). Every use of a constant gets a value of its own; the bytes are
  // shared. Errors: kInvalid.
  Result<ValueId> place(Binding* binding, Order order, int rank);
  ValueId place_constant(const std::string& name, const Constant& constant);

  // Runs shape inference and appends the node with new values for its outputs, named as given.
  // Errors: kInvalid, what the op says.
  Result<std::vector<ValueId>> add_node(Node node, const std::vector<std::string>& outputs);

  // Drops what does not reach the output, numbers the rest, and fills in producers and consumers.
  Model finish(ValueId input, ValueId output);

  const Model& model() const { return model_; }
  Model& model() { return model_; }

 private:
  Result<ValueId> transpose(ValueId source, const std::string& name);

  int opset_;
  Model model_;
  std::vector<Binding> bindings_;
  std::map<std::string, size_t> names_;
  std::set<std::string> value_names_;
};

}  // namespace ft
