#include "onnx_import/modules.h"

#include <sstream>

namespace ft {
namespace {

std::string last_part(const std::string& component) {
  return component.substr(component.rfind('.') + 1);
}

}  // namespace

Modules::Modules(const OnnxGraph& graph) {
  for (const auto& [name, tensor] : graph.initializers) {
    std::istringstream text(name);
    for (std::string part; std::getline(text, part, '.');) parts_.insert(part);
  }
  for (const OnnxNode& node : graph.nodes) {
    if (node.name.rfind('/', 0) != 0) continue;
    std::istringstream text(node.name.substr(1, node.name.rfind('/')));
    for (std::string component; std::getline(text, component, '/');) scopes_.insert(component);
  }
}

// "fc_1" is the second call of "fc", unless a tensor's name shows that there is a module "fc_1".
std::string Modules::called(const std::string& component) const {
  const size_t end = component.find_last_not_of("0123456789");
  if (end == std::string::npos || end == 0 || end + 1 == component.size() ||
      component[end] != '_') {
    return component;
  }
  const std::string base = component.substr(0, end);
  const bool is_module = parts_.count(last_part(component)) != 0;
  return is_module || scopes_.count(base) == 0 ? component : base;
}

std::string Modules::of(const OnnxNode& node) const {
  if (node.name.rfind('/', 0) != 0) return "node " + std::to_string(node.index);
  std::string module;
  std::istringstream text(node.name.substr(1, node.name.rfind('/')));
  for (std::string component; std::getline(text, component, '/');) {
    module += "/" + called(component);
  }
  return module;
}

}  // namespace ft
