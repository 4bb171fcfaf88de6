#pragma once

// Which readers of a tensor share it. The exporter's form decides (docs/tensors.md):
//   Identity of an initializer  merged because equal: a copy; merged by storage: one tensor
//   read by several modules     one tensor where the exporter says so by an Identity; else small
//                               ones are apart, because onnx-ir and optimisers merge equal ones

#include <map>
#include <set>
#include <string>
#include <vector>

#include "onnx_import/model.h"
#include "onnx_import/modules.h"
#include "onnx_import/tensors.h"

namespace ft {

// The tensors of the graph while they are told apart, in order of first use.
class Sharing {
 public:
  Sharing(const IdentityCopies& identities, OnnxGraph* graph);

  // What the form of the file says.
  void decide(const IdentityCopies& identities);
  // What a person says: every node that reads it has its own. False when one node alone does.
  bool untie(const std::string& name);
  // Errors: kInvalid.
  Status tie(const std::string& kept, const std::string& other);

  // Names, shapes, ties and the way back into the file; no roles. `reason` says why a tensor is
  // tied or a copy.
  std::vector<TensorInfo>& tensors() { return tensors_; }
  bool has(const std::string& name) const { return positions_.count(name) != 0; }

 private:
  struct Reader {
    OnnxNode* node;
    int input;
  };
  using Readers = std::vector<Reader>;
  using Keys = std::set<std::string>;

  TensorInfo& info(const std::string& name) { return tensors_[positions_.at(name)]; }
  void add(TensorInfo info);
  void merge(const std::string& kept, const std::string& other, const std::string& reason);
  void split(const std::string& name, const std::vector<Readers>& groups,
             const std::string& reason);
  bool split_by_node(const std::string& name);
  void decide_copies(const std::vector<InitializerCopy>& copies);
  void decide_shared(const std::string& name);
  Keys modules_of(const Reader& reader) const;
  std::vector<Readers> by_module(const std::string& name) const;

  OnnxGraph& graph_;
  Modules modules_;
  bool marks_merges_ = false;  // by an Identity, as the TorchScript exporter does
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t> positions_;
  std::map<std::string, Readers> readers_;
  std::set<std::string> roots_;                   // what others are tied to
  std::map<std::string, Readers> own_;            // who reads it in the file, before ties
  std::map<std::string, Readers> value_readers_;  // of what nodes make from tensors alone
};

}  // namespace ft
