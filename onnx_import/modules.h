#pragma once

// Which module of the program a node belongs to. PyTorch's TorchScript exporter (1.13 and later)
// names a node by its module's path: "/encoder/encoder.0/fc/MatMul"; a module's second call has a
// number behind its name: "/encoder/encoder.0/fc_1/MatMul". A node without such a name is taken for
// a module of its own.

#include <set>
#include <string>

#include "onnx_import/onnx_file.h"

namespace ft {

class Modules {
 public:
  // REQUIRES: the graph outlives it.
  explicit Modules(const OnnxGraph& graph);

  // Equal for nodes of one module, calls of it included.
  std::string of(const OnnxNode& node) const;

 private:
  std::string called(const std::string& component) const;

  std::set<std::string> parts_;   // of tensors' names: "encoder", "0", "fc", "weight"
  std::set<std::string> scopes_;  // components of nodes' names: "encoder", "encoder.0", "fc"
};

}  // namespace ft
