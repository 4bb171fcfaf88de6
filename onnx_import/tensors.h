#pragma once

// Which tensors of a file are one, and what each of them is: the only place where that is decided.
// docs/tensors.md says the rules as a user reads them.
//
//   take_identities   copies out of the way                        (sharing.cpp)
//   decide_tensors    what is one tensor, what is several          (sharing.cpp)
//                     what each is: trained, buffer, number, ...   (roles.cpp, on tensor_uses.cpp)
//                     what a person says instead                   (role_choices.cpp)
//   tensor_notes      what was decided, in sentences               (tensor_notes.cpp)

#include <string>
#include <vector>

#include "onnx_import/import.h"
#include "onnx_import/model.h"
#include "onnx_import/onnx_file.h"
#include "runtime/base/status.h"

namespace ft {

// An Identity of an initializer that became an initializer itself.
struct InitializerCopy {
  int node = 0;        // OnnxNode::index of the Identity
  std::string name;    // its output
  std::string source;  // the initializer in the file
};

struct IdentityCopies {
  std::vector<InitializerCopy> copies;
  bool by_storage = false;  // the exporter merged what shares storage, and not what is equal
};

// Takes the Identity nodes of initializers away: each one's output is an initializer of its own.
IdentityCopies take_identities(OnnxGraph* graph);

// Ties, splits and moves tensors in the graph so that each name is one tensor: what trains or is a
// statistic ends in `initializers`. Fills OnnxGraph::roles. Tensors that no node reads are left
// out. Errors: kInvalid, for choices that fit nothing, and for a statistic that is something else,
// too. REQUIRES: normalise_forms() and sort_nodes() ran.
Result<std::vector<TensorInfo>> decide_tensors(const IdentityCopies& identities,
                                               const RoleChoices& choices, OnnxGraph* graph);

// What trains and what does not, in one line; ties and copies; a batch norm that was folded.
std::vector<std::string> tensor_notes(const std::vector<TensorInfo>& tensors,
                                      const OnnxGraph& graph);

// Why nothing trains, in a sentence, with the option that helps.
std::string nothing_trains(const std::vector<TensorInfo>& tensors);

// "trains", "frozen", "buffer", "statistic", "constant".
const char* to_string(TensorRole role);

// A name that PyTorch's exporters make up: "onnx::MatMul_16", "val_3", "/Constant_output_0", "27".
bool is_exporter_name(const std::string& name);
// All elements have one value.
bool is_uniform(const Constant& tensor);
// The TorchScript exporter: it writes an Identity where it merges, and numbers as Constant nodes.
bool is_legacy_pytorch(const OnnxGraph& graph);

}  // namespace ft
