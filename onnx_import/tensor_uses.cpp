#include "onnx_import/tensor_uses.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <string_view>

#include "onnx_import/forms.h"

namespace ft {
namespace {

constexpr float kEpsilonMax = 0.01F;

template <size_t N>
bool is_one_of(std::string_view op, const std::string_view (&ops)[N]) {
  return std::find(std::begin(ops), std::end(ops), op) != std::end(ops);
}

// What is known about a value before the walk backward.
struct Past {
  bool is_fixed = false;       // computed from tensors of the file alone
  bool has_tensor = false;     // of those, from an initializer, and not from numbers alone
  bool is_named = false;       // of those, from one with a parameter's name
  bool has_weight = false;     // computed from the sample and a weight
  bool is_normalised = false;  // the sample, divided by something of its own
};

class Walk {
 public:
  explicit Walk(const OnnxGraph& graph) : graph_(graph) {}

  std::map<std::string, TensorUses> run() {
    for (const auto& [name, constant] : graph_.constants) pasts_[name].is_fixed = true;
    for (const auto& [name, constant] : graph_.initializers) {
      Past& past = pasts_[name];
      past.is_fixed = past.has_tensor = true;
      past.is_named = is_parameter_name(name);
    }
    for (const OnnxNode& node : graph_.nodes) look_back(node);
    for (size_t i = graph_.nodes.size(); i-- > 0;) look_forward(graph_.nodes[i]);
    std::map<std::string, TensorUses> found;
    for (auto& [name, uses] : uses_) {
      if (find_constant(graph_, name) != nullptr) found[name] = uses;
    }
    return found;
  }

 private:
  bool is_fixed_node(const OnnxNode& node) const {
    if (node.op == "Shape" || node.op == "Size") return true;
    return std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& name) {
      return name.empty() || past(name).is_fixed;
    });
  }
  Past past(const std::string& name) const {
    const auto found = pasts_.find(name);
    return found == pasts_.end() ? Past() : found->second;
  }
  void look_back(const OnnxNode& node);
  void look_forward(const OnnxNode& node);
  bool is_number(const OnnxNode& node, size_t input) const;
  bool is_weight(const OnnxNode& node, size_t input) const;
  UseKind use(const OnnxNode& node, size_t input) const;

  const OnnxGraph& graph_;
  std::map<std::string, Past> pasts_;
  std::map<std::string, const OnnxNode*> makers_;
  std::map<std::string, std::set<std::string>> reader_ops_;
  std::map<std::string, TensorUses> uses_;
};

// A value for each output of a product, and none for each sample.
bool is_bias(const Shape& shape) {
  const auto dims = shape.dims();
  return std::count_if(dims.begin(), dims.end(), [](int64_t dim) { return dim > 1; }) == 1;
}

bool is_elementwise(const std::string& op) {
  static constexpr std::string_view kOps[] = {"Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"};
  return is_one_of(op, kOps);
}

bool Walk::is_number(const OnnxNode& node, size_t input) const {
  static constexpr std::string_view kFirstIsData[] = {
      "Clip",           "CumSum",   "DequantizeLinear", "Dropout", "Expand", "OneHot",  "Pad",
      "QuantizeLinear", "Pow",      "Reshape",          "Resize",  "Slice",  "Squeeze", "Tile",
      "TopK",           "Unsqueeze"};
  static constexpr std::string_view kNumbersOnly[] = {
      "And",  "ConstantOfShape", "Equal", "Greater", "GreaterOrEqual",
      "Less", "LessOrEqual",     "Range", "Shape",   "Size"};
  if (is_one_of(node.op, kNumbersOnly) || (input > 0 && is_one_of(node.op, kFirstIsData))) {
    return true;
  }
  // What keeps a root or a logarithm from zero.
  const Constant* tensor = find_constant(graph_, node.inputs[input]);
  if (node.op != "Add" || tensor == nullptr || !tensor->is_float() ||
      tensor->element_count() != 1 || std::fabs(tensor->floats()[0]) > kEpsilonMax ||
      node.outputs.empty()) {
    return false;
  }
  const auto readers = reader_ops_.find(node.outputs[0]);
  if (readers == reader_ops_.end()) return false;
  static constexpr std::string_view kRoots[] = {"Log", "Pow", "Reciprocal", "Sqrt"};
  return std::all_of(readers->second.begin(), readers->second.end(),
                     [](const std::string& op) { return is_one_of(op, kRoots); });
}

// Places where weights stand, whatever holds them.
bool Walk::is_weight(const OnnxNode& node, size_t input) const {
  static constexpr std::string_view kAny[] = {"Einsum", "Gemm", "MatMul"};
  static constexpr std::string_view kBehind[] = {"BatchNormalization",
                                                 "Conv",
                                                 "ConvTranspose",
                                                 "GRU",
                                                 "GroupNormalization",
                                                 "InstanceNormalization",
                                                 "LSTM",
                                                 "LayerNormalization",
                                                 "PRelu",
                                                 "RMSNormalization",
                                                 "RNN"};
  if (is_one_of(node.op, kAny)) return true;
  if (is_one_of(node.op, kBehind))
    return input == 1 || input == 2 || (input == 3 && node.op != "BatchNormalization");
  // A bias that stands behind its product.
  if (node.op != "Add" || node.inputs.size() != 2) return false;
  const auto maker = makers_.find(node.inputs[1 - input]);
  static constexpr std::string_view kProducts[] = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
  const Constant* tensor = find_constant(graph_, node.inputs[input]);
  return maker != makers_.end() && is_one_of(maker->second->op, kProducts) &&
         (tensor == nullptr || is_bias(tensor->type.shape));
}

UseKind Walk::use(const OnnxNode& node, size_t input) const {
  if (node.op == "BatchNormalization" && input >= 3) return UseKind::kStatistic;
  if (is_number(node, input)) return UseKind::kNumber;
  if (is_weight(node, input)) return UseKind::kWeight;
  if (!is_elementwise(node.op)) return UseKind::kData;
  const bool named = past(node.inputs[input]).is_named;
  for (const std::string& other : node.inputs) {
    const Past sample = past(other);
    if (sample.is_fixed || other.empty()) continue;
    if (sample.has_weight || sample.is_normalised || named) return UseKind::kOperand;
  }
  return UseKind::kInputOperand;
}

void Walk::look_back(const OnnxNode& node) {
  Past made;
  made.is_fixed = is_fixed_node(node);
  int samples = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i].empty()) continue;
    const Past from = past(node.inputs[i]);
    reader_ops_[node.inputs[i]].insert(node.op);
    made.has_tensor = made.has_tensor || from.has_tensor;
    made.is_named = made.is_named || from.is_named;
    made.is_normalised = made.is_normalised || from.is_normalised;
    made.has_weight = made.has_weight || from.has_weight;
    if (!from.is_fixed) ++samples;
    if (made.is_fixed || !from.is_fixed) continue;
    const UseKind kind = use(node, i);
    const bool is_operand = kind == UseKind::kOperand || kind == UseKind::kData;
    if (kind == UseKind::kWeight || (is_operand && from.has_tensor)) made.has_weight = true;
  }
  static constexpr std::string_view kNormalisers[] = {
      "InstanceNormalization", "LRN", "LayerNormalization", "MeanVarianceNormalization"};
  if (is_one_of(node.op, kNormalisers) || (samples > 1 && (node.op == "Div" || node.op == "Mul"))) {
    made.is_normalised = true;
  }
  for (const std::string& name : node.outputs) {
    if (name.empty()) continue;
    pasts_[name] = made;
    makers_[name] = &node;
  }
}

void Walk::look_forward(const OnnxNode& node) {
  const bool is_fixed = is_fixed_node(node);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const std::string& name = node.inputs[i];
    if (name.empty() || !past(name).is_fixed) continue;
    TensorUses& uses = uses_[name];
    uses.is_factor = uses.is_factor && node.op == "Mul";
    if (!is_fixed || is_number(node, i)) {
      uses.nodes[static_cast<size_t>(use(node, i))] = &node;
      continue;
    }
    for (const std::string& output : node.outputs) {
      const auto reached = uses_.find(output);
      if (reached == uses_.end()) continue;
      for (size_t kind = 0; kind < kUseKinds; ++kind) {
        const OnnxNode* at = reached->second.nodes[kind];
        if (at != nullptr) uses_[name].nodes[kind] = at;
      }
    }
  }
}

}  // namespace

std::map<std::string, TensorUses> find_uses(const OnnxGraph& graph) { return Walk(graph).run(); }

bool is_parameter_name(const std::string& name) {
  static constexpr std::string_view kNames[] = {"beta", "bias", "gamma", "weight"};
  const std::string_view last = std::string_view(name).substr(name.rfind('.') + 1);
  return is_one_of(last, kNames) || last.find("embed") != std::string_view::npos;
}

}  // namespace ft
