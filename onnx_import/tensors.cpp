#include "onnx_import/tensors.h"

#include <algorithm>

#include "onnx_import/forms.h"
#include "onnx_import/role_choices.h"
#include "onnx_import/roles.h"
#include "onnx_import/sharing.h"

namespace ft {
namespace {

std::vector<std::string> names_of(const std::vector<TensorInfo>& tensors) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensors) names.push_back(tensor.name);
  return names;
}

Status no_such_tensor(const char* option, const std::string& name,
                      const std::vector<TensorInfo>& tensors) {
  return invalid_error("%s %s: no tensor of the model is called so; the nearest are %s", option,
                       name.c_str(), nearest_names(name, names_of(tensors)).c_str());
}

Status apply_ties(const RoleChoices& choices, Sharing* sharing) {
  for (const std::string& pattern : choices.untie) {
    bool has_match = false;
    bool is_shared = false;
    for (const std::string& name : names_of(sharing->tensors())) {
      if (!matches(pattern, name)) continue;
      has_match = true;
      is_shared = sharing->untie(name) || is_shared;
    }
    if (!has_match) return no_such_tensor("--untie", pattern, sharing->tensors());
    if (!is_shared) {
      return invalid_error("--untie %s: one node alone reads it; leave it out", pattern.c_str());
    }
  }
  for (const std::string& pair : choices.tie) {
    const size_t middle = pair.find('=');
    if (middle == std::string::npos) {
      return invalid_error("--tie %s: say two names, --tie A=B", pair.c_str());
    }
    const std::string kept = pair.substr(0, middle);
    const std::string other = pair.substr(middle + 1);
    for (const std::string& name : {kept, other}) {
      if (!sharing->has(name)) return no_such_tensor("--tie", name, sharing->tensors());
    }
    FT_RETURN_IF_ERROR(sharing->tie(kept, other));
  }
  return {};
}

using Roles = std::map<std::string, DecidedRole>;

// Why a person's word does not hold for that tensor; empty when it does.
std::string objection(const DecidedRole& role, TensorRole wanted) {
  if (role.role == TensorRole::kStatistic) {
    return "the forward pass moves it: " + role.reason;
  }
  if (wanted == TensorRole::kTrained && !role.can_train) return "it cannot train: " + role.reason;
  if (wanted == TensorRole::kFrozen && role.role != TensorRole::kTrained) {
    return "it does not train anyway: it is a " + std::string(to_string(role.role));
  }
  return "";
}

Status choose(const char* option, const std::vector<std::string>& patterns, TensorRole wanted,
              const std::vector<TensorInfo>& tensors, Roles* roles) {
  for (const std::string& pattern : patterns) {
    bool has_match = false;
    std::string why;
    bool is_chosen = false;
    for (const TensorInfo& tensor : tensors) {
      if (!matches(pattern, tensor.name)) continue;
      const std::string& root = tensor.tied_to.empty() ? tensor.name : tensor.tied_to;
      const auto found = roles->find(root);
      if (found == roles->end()) continue;
      DecidedRole& role = found->second;
      has_match = true;
      const std::string own = objection(role, wanted);
      // A number in a Constant node is meant by its name only.
      const bool is_swept =
          has_wildcard(pattern) && tensor.constant_node >= 0 && role.role == TensorRole::kConstant;
      if (!own.empty() || is_swept) {
        why = own.empty() ? "it is " + role.reason : own;
        is_chosen = is_chosen || role.role == wanted;
        continue;
      }
      is_chosen = true;
      if (role.role != wanted) role = {wanted, std::string(option) + " " + pattern, true};
    }
    if (!has_match) return no_such_tensor(option, pattern, tensors);
    if (!is_chosen) {
      return invalid_error("%s %s: %s; leave it out", option, pattern.c_str(), why.c_str());
    }
  }
  return {};
}

Status check_statistics(const std::vector<TensorInfo>& tensors, const Roles& roles,
                        const OnnxGraph& graph) {
  const auto uses = find_uses(graph);
  for (const TensorInfo& tensor : tensors) {
    const auto role = roles.find(tensor.name);
    if (role == roles.end() || role->second.role != TensorRole::kStatistic) continue;
    const TensorUses& places = uses.at(tensor.name);
    for (size_t kind = 0; kind < kUseKinds; ++kind) {
      const OnnxNode* node = places.nodes[kind];
      if (node == nullptr || static_cast<UseKind>(kind) == UseKind::kStatistic) continue;
      return invalid_error(
          "initializer '%s' is a running statistic of a batch norm and is read elsewhere, too "
          "(node '%s'): --untie %s gives each its own",
          tensor.name.c_str(), node->name.c_str(), tensor.name.c_str());
    }
  }
  return {};
}

// Into the graph, where the walk looks.
void place(const Roles& roles, OnnxGraph* graph, std::vector<TensorInfo>* tensors) {
  for (TensorInfo& tensor : *tensors) {
    const auto found = roles.find(tensor.tied_to.empty() ? tensor.name : tensor.tied_to);
    if (found == roles.end()) continue;
    const DecidedRole& role = found->second;
    tensor.role = role.role;
    const std::string sharing = std::move(tensor.reason);
    tensor.reason = !tensor.tied_to.empty() || role.reason.empty() ? sharing : role.reason;
    if (tensor.tied_to.empty() && !sharing.empty()) tensor.reason += "; " + sharing;
    if (!tensor.tied_to.empty()) continue;
    if (role.role == TensorRole::kFrozen) tensor.data = find_constant(*graph, tensor.name)->data;
    const bool is_number = role.role == TensorRole::kConstant || role.role == TensorRole::kBuffer;
    const auto constant = graph->constants.find(tensor.name);
    if (constant != graph->constants.end()) {
      if (is_number) continue;
      graph->initializers[tensor.name] = constant->second;
      graph->initializer_order.push_back(tensor.name);
      graph->constants.erase(constant);
    }
    graph->roles[tensor.name] = role.role;
  }
}

// What the file made one and everybody leaves alone stays one.
void forget_idle_copies(std::vector<TensorInfo>* tensors) {
  const auto is_idle = [](const TensorInfo& tensor) {
    const bool is_number =
        tensor.role == TensorRole::kConstant || tensor.role == TensorRole::kBuffer;
    return is_number && !tensor.copy_of.empty();
  };
  tensors->erase(std::remove_if(tensors->begin(), tensors->end(), is_idle), tensors->end());
}

}  // namespace

Result<std::vector<TensorInfo>> decide_tensors(const IdentityCopies& identities,
                                               const RoleChoices& choices, OnnxGraph* graph) {
  Sharing sharing(identities, graph);
  sharing.decide(identities);
  FT_RETURN_IF_ERROR(apply_ties(choices, &sharing));
  Roles roles = decide_roles(*graph);
  std::vector<TensorInfo>& tensors = sharing.tensors();
  FT_RETURN_IF_ERROR(check_statistics(tensors, roles, *graph));
  FT_RETURN_IF_ERROR(choose("--freeze", choices.freeze, TensorRole::kFrozen, tensors, &roles));
  FT_RETURN_IF_ERROR(choose("--train", choices.train, TensorRole::kTrained, tensors, &roles));
  place(roles, graph, &tensors);
  forget_idle_copies(&tensors);
  return std::move(tensors);
}

const char* to_string(TensorRole role) {
  switch (role) {
    case TensorRole::kTrained:
      return "trains";
    case TensorRole::kFrozen:
      return "frozen";
    case TensorRole::kBuffer:
      return "buffer";
    case TensorRole::kStatistic:
      return "statistic";
    case TensorRole::kConstant:
      return "constant";
  }
  return "?";
}

}  // namespace ft
