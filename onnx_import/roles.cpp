#include "onnx_import/roles.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "onnx_import/tensors.h"

namespace ft {
namespace {

constexpr float kMaskMin = 1e4F;  // transformers write -1e4, -1e9, -3.4e38 and minus infinity

// Zero, or so far below zero that a softmax makes nothing of it.
bool is_mask(const Constant& tensor) {
  bool has_far = false;
  for (const float value : tensor.floats()) {
    if (std::isnan(value)) return false;
    if (value <= -kMaskMin) {
      has_far = true;
    } else if (value != 0.0F) {
      return false;
    }
  }
  return has_far;
}

// Ones and zeros, both of them, as a triangle of ones has them.
bool is_zero_one_mask(const Constant& tensor) {
  if (tensor.type.shape.rank() < 2) return false;
  const auto values = tensor.floats();
  return !is_uniform(tensor) && std::all_of(values.begin(), values.end(), [](float value) {
    return value == 0.0F || value == 1.0F;
  });
}

// What people call the buffers that they register.
bool is_buffer_name(const std::string& name) {
  static constexpr std::string_view kNames[] = {"pe",   "mask",   "attn_mask", "causal_mask",
                                                "tril", "freqs",  "inv_freq",  "mean",
                                                "std",  "inv_std"};
  const std::string_view last = std::string_view(name).substr(name.rfind('.') + 1);
  return std::find(std::begin(kNames), std::end(kNames), last) != std::end(kNames) ||
         last.find("buffer") != std::string_view::npos;
}

std::string at(const OnnxNode* node) { return node->op + " '" + node->name + "'"; }

class Rules {
 public:
  explicit Rules(const OnnxGraph& graph) : graph_(graph), uses_(find_uses(graph)) {
    for (const auto& [name, uses] : uses_) {
      const bool is_weight = uses.at(UseKind::kWeight) != nullptr;
      if (is_weight && graph.initializers.count(name) != 0) has_weight_initializers_ = true;
    }
  }

  std::map<std::string, DecidedRole> run() const {
    std::map<std::string, DecidedRole> roles;
    for (const auto& [name, uses] : uses_) {
      const auto constant = graph_.constants.find(name);
      roles[name] = constant == graph_.constants.end()
                        ? initializer(name, graph_.initializers.at(name), uses)
                        : constant_node(name, constant->second, uses);
    }
    return roles;
  }

 private:
  DecidedRole initializer(const std::string& name, const Constant& tensor,
                          const TensorUses& uses) const;
  DecidedRole constant_node(const std::string& name, const Constant& tensor,
                            const TensorUses& uses) const;
  // Rules that hold for both; false when none of them does.
  static bool is_no_data(const Constant& tensor, const TensorUses& uses, DecidedRole* role);
  static bool is_buffer(const std::string& name, const Constant& tensor, const TensorUses& uses,
                        DecidedRole* role);

  const OnnxGraph& graph_;
  std::map<std::string, TensorUses> uses_;
  bool has_weight_initializers_ = false;
};

bool Rules::is_no_data(const Constant& tensor, const TensorUses& uses, DecidedRole* role) {
  bool is_data = false;
  for (const UseKind kind : {UseKind::kWeight, UseKind::kOperand, UseKind::kInputOperand,
                             UseKind::kData, UseKind::kStatistic}) {
    is_data = is_data || uses.at(kind) != nullptr;
  }
  if (!tensor.is_float()) {
    *role = {TensorRole::kConstant, "holds integers", false};
  } else if (const OnnxNode* norm = uses.at(UseKind::kStatistic)) {
    *role = {TensorRole::kStatistic, "running mean or variance of " + at(norm), false};
  } else if (!is_data) {
    const OnnxNode* node = uses.at(UseKind::kNumber);
    *role = {TensorRole::kConstant,
             node == nullptr ? "reaches no node" : "a number that " + at(node) + " reads", false};
  } else {
    return false;
  }
  return true;
}

bool Rules::is_buffer(const std::string& name, const Constant& tensor, const TensorUses& uses,
                      DecidedRole* role) {
  const OnnxNode* joined = uses.at(UseKind::kOperand);
  const OnnxNode* behind = uses.at(UseKind::kWeight);
  if (joined == nullptr && behind != nullptr && behind->op == "Add") joined = behind;
  const OnnxNode* input = uses.at(UseKind::kInputOperand);
  role->role = TensorRole::kBuffer;
  role->can_train = true;
  if (joined != nullptr && is_mask(tensor)) {
    role->reason = "a mask: zeros and large negative numbers, at " + at(joined);
  } else if (uses.is_factor && is_zero_one_mask(tensor)) {
    role->reason = "a mask: zeros and ones, by which a Mul multiplies";
  } else if (behind != nullptr && behind->op != "Add") {
    return false;
  } else if (input != nullptr) {
    role->reason = "normalises the input: " + at(input) + " comes before any weight";
  } else if (joined != nullptr && is_buffer_name(name)) {
    role->reason = "its name says that it is a buffer";
  } else {
    return false;
  }
  return true;
}

DecidedRole Rules::initializer(const std::string& name, const Constant& tensor,
                               const TensorUses& uses) const {
  DecidedRole role;
  if (is_no_data(tensor, uses, &role) || is_buffer(name, tensor, uses, &role)) return role;
  role.can_train = true;
  if (const OnnxNode* node = uses.at(UseKind::kWeight)) {
    return {TensorRole::kTrained, "a weight of " + at(node), true};
  }
  const OnnxNode* node = uses.at(UseKind::kOperand);
  if (node == nullptr) node = uses.at(UseKind::kData);
  if (tensor.element_count() == 1 && is_exporter_name(name)) {
    return {TensorRole::kConstant, "a number to which the exporter gave a name, at " + at(node),
            true};
  }
  return {TensorRole::kTrained, "is read by " + at(node) + " behind a weight", true};
}

DecidedRole Rules::constant_node(const std::string& name, const Constant& tensor,
                                 const TensorUses& uses) const {
  DecidedRole role;
  if (is_no_data(tensor, uses, &role)) return role;
  role.can_train = true;
  const OnnxNode* node = uses.at(UseKind::kWeight);
  // PyTorch's parameters are initializers; what it writes as a Constant beside them is a literal
  // of the program. A frozen script has no initializers at all.
  const bool is_literal =
      has_weight_initializers_ && is_legacy_pytorch(graph_) && is_exporter_name(name);
  if (node == nullptr && !has_weight_initializers_) node = uses.at(UseKind::kOperand);
  DecidedRole ignored;
  if (node != nullptr && tensor.type.shape.rank() > 0 && !is_literal &&
      (tensor.element_count() > 1 || uses.at(UseKind::kWeight) != nullptr) &&
      !is_buffer(name, tensor, uses, &ignored)) {
    return {TensorRole::kTrained, "a weight of " + at(node) + ", in a Constant node", true};
  }
  role.reason = is_literal && node != nullptr
                    ? "a literal of the program: PyTorch's parameters are initializers"
                    : "a number of the program, in a Constant node";
  return role;
}

}  // namespace

std::map<std::string, DecidedRole> decide_roles(const OnnxGraph& graph) {
  return Rules(graph).run();
}

bool is_exporter_name(const std::string& name) {
  const auto contains = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (name.rfind("onnx::", 0) == 0 || name.rfind("val_", 0) == 0 || name.rfind("_val_", 0) == 0 ||
      name.rfind("const", 0) == 0 || name.rfind("Const", 0) == 0) {
    return true;
  }
  if (contains("/Constant_") || contains("scalar_tensor") || contains("lifted_tensor")) return true;
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_uniform(const Constant& tensor) {
  const auto values = tensor.floats();
  return std::all_of(values.begin(), values.end(), [&](float value) { return value == values[0]; });
}

bool is_legacy_pytorch(const OnnxGraph& graph) {
  return graph.producer == "pytorch" &&
         std::none_of(graph.nodes.begin(), graph.nodes.end(),
                      [](const OnnxNode& node) { return node.name.rfind("node_", 0) == 0; });
}

}  // namespace ft
