#include "onnx_import/sharing.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

#include "onnx_import/forms.h"
#include "onnx_import/modules.h"

namespace ft {
namespace {

// onnx-ir merges equal initializers up to this size; PyTorch 2.9 and later run it.
constexpr int64_t kMergedElementsMax = 1024;
// Nodes between a tensor and the sample that are looked at.
constexpr size_t kChainMax = 64;

bool is_initializer_identity(const OnnxGraph& graph, const OnnxNode& node) {
  return node.op == "Identity" && node.domain.empty() && node.inputs.size() == 1 &&
         node.outputs.size() == 1 && !node.outputs[0].empty() &&
         graph.initializers.count(node.inputs[0]) != 0;
}

bool is_training_export(const OnnxGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const OnnxNode& node) {
    return (node.op == "BatchNormalization" && is_training_batch_norm(node)) ||
           (node.op == "Dropout" && is_training_dropout(graph, node));
  });
}

// An inference export of PyTorch's merges all equal tensors: two that are left show that it is
// none.
bool has_equal_initializers(const OnnxGraph& graph) {
  struct Less {
    bool operator()(const Constant* a, const Constant* b) const {
      if (a->type.dtype != b->type.dtype) return a->type.dtype < b->type.dtype;
      const auto x = a->type.shape.dims();
      const auto y = b->type.shape.dims();
      if (!std::equal(x.begin(), x.end(), y.begin(), y.end())) {
        return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
      }
      return std::memcmp(a->data->data(), b->data->data(), a->data->size()) < 0;
    }
  };
  std::set<const Constant*, Less> seen;
  for (const auto& [name, tensor] : graph.initializers) {
    if (!seen.insert(&tensor).second) return true;
  }
  return false;
}

}  // namespace

IdentityCopies take_identities(OnnxGraph* graph) {
  IdentityCopies found;
  found.by_storage = is_training_export(*graph);
  const bool may_be_training = !found.by_storage && is_legacy_pytorch(*graph);
  std::map<std::string, std::string> originals;  // copy -> the initializer in the file
  std::vector<OnnxNode> kept;
  for (OnnxNode& node : graph->nodes) {
    if (!is_initializer_identity(*graph, node)) {
      kept.push_back(std::move(node));
      continue;
    }
    if (originals.empty() && may_be_training) found.by_storage = has_equal_initializers(*graph);
    const std::string& source = node.inputs[0];
    const std::string& name = node.outputs[0];
    const auto original = originals.find(source);
    originals[name] = original == originals.end() ? source : original->second;
    graph->initializers[name] = graph->initializers[source];
    graph->initializer_order.push_back(name);
    found.copies.push_back({node.index, name, originals[name]});
  }
  graph->nodes = std::move(kept);
  return found;
}

Sharing::Sharing(const IdentityCopies& identities, OnnxGraph* graph)
    : graph_(*graph),
      modules_(*graph),
      marks_merges_(is_legacy_pytorch(*graph) || !identities.copies.empty()) {
  std::map<std::string, const InitializerCopy*> copies;
  for (const InitializerCopy& copy : identities.copies) copies[copy.name] = &copy;
  std::set<std::string> fixed;
  for (OnnxNode& node : graph_.nodes) {
    bool is_fixed = !node.inputs.empty();
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const std::string& name = node.inputs[i];
      if (name.empty()) continue;
      const Reader reader{&node, static_cast<int>(i)};
      const Constant* tensor = find_constant(graph_, name);
      if (tensor == nullptr) {
        is_fixed = is_fixed && fixed.count(name) != 0;
        if (fixed.count(name) != 0) value_readers_[name].push_back(reader);
        continue;
      }
      readers_[name].push_back(reader);
      if (has(name)) continue;
      TensorInfo info;
      info.name = name;
      info.shape = tensor->type.shape;
      info.is_float = tensor->is_float();
      const auto constant = graph_.constant_nodes.find(name);
      if (constant != graph_.constant_nodes.end()) info.constant_node = constant->second;
      const auto copy = copies.find(name);
      if (copy != copies.end()) {
        info.copy_of = copy->second->source;
        info.identity = copy->second->node;
        info.reason = "the exporter merged it with '" + info.copy_of + "', which is only equal";
      }
      add(std::move(info));
    }
    if (is_fixed) fixed.insert(node.outputs.begin(), node.outputs.end());
  }
  own_ = readers_;
}

void Sharing::add(TensorInfo info) {
  positions_[info.name] = tensors_.size();
  tensors_.push_back(std::move(info));
}

void Sharing::merge(const std::string& kept, const std::string& other, const std::string& reason) {
  Readers& moved = readers_[other];
  for (const Reader& reader : moved) reader.node->inputs[static_cast<size_t>(reader.input)] = kept;
  Readers& target = readers_[kept];
  target.insert(target.end(), moved.begin(), moved.end());
  moved.clear();
  info(other).tied_to = kept;
  info(other).reason = reason;
  roots_.insert(kept);
  if (roots_.erase(other) == 0) return;
  for (TensorInfo& tensor : tensors_) {
    if (tensor.tied_to == other) tensor.tied_to = kept;
  }
}

// The first group keeps the name.
void Sharing::split(const std::string& name, const std::vector<Readers>& groups,
                    const std::string& reason) {
  const Constant tensor = *find_constant(graph_, name);
  const TensorInfo source = info(name);
  readers_[name] = own_[name] = groups[0];
  for (size_t i = 1; i < groups.size(); ++i) {
    TensorInfo copy;
    int number = static_cast<int>(i) + 1;
    do {
      copy.name = name + ":" + std::to_string(number++);
    } while (find_constant(graph_, copy.name) != nullptr);
    copy.shape = source.shape;
    copy.copy_of = source.copy_of.empty() ? name : source.copy_of;
    copy.reason = reason;
    for (const Reader& reader : groups[i]) {
      copy.reads.push_back({reader.node->index, reader.input});
      reader.node->inputs[static_cast<size_t>(reader.input)] = copy.name;
    }
    readers_[copy.name] = own_[copy.name] = groups[i];
    graph_.initializers[copy.name] = tensor;
    graph_.initializer_order.push_back(copy.name);
    add(std::move(copy));
  }
}

// Of the nodes that join what the reader makes with the sample; the reader's own when it does so.
Sharing::Keys Sharing::modules_of(const Reader& reader) const {
  Keys keys;
  std::vector<Reader> pending = {reader};
  for (size_t i = 0; i < pending.size() && i < kChainMax; ++i) {
    const OnnxNode& node = *pending[i].node;
    const bool is_statistic = node.op == "BatchNormalization" && pending[i].input >= 3;
    const auto next =
        node.outputs.empty() ? value_readers_.end() : value_readers_.find(node.outputs[0]);
    if (next == value_readers_.end()) {
      keys.insert(modules_.of(node) + (is_statistic ? ":statistic" : ""));
    } else {
      const size_t count =
          std::min(next->second.size(), kChainMax - std::min(kChainMax, pending.size()));
      pending.insert(pending.end(), next->second.begin(),
                     next->second.begin() + static_cast<std::ptrdiff_t>(count));
    }
  }
  return keys;
}

// Readers that share a module, directly or through others, are together; in order of the first.
std::vector<Sharing::Readers> Sharing::by_module(const std::string& name) const {
  const Readers& readers = readers_.at(name);
  std::vector<size_t> parents(readers.size());
  std::iota(parents.begin(), parents.end(), size_t{0});
  const auto root = [&](size_t index) {
    while (parents[index] != index) index = parents[index] = parents[parents[index]];
    return index;
  };
  std::map<std::string, size_t> owners;
  for (size_t i = 0; i < readers.size(); ++i) {
    for (const std::string& key : modules_of(readers[i])) {
      const size_t a = root(owners.emplace(key, i).first->second);
      const size_t b = root(i);
      parents[std::max(a, b)] = std::min(a, b);
    }
  }
  std::map<size_t, Readers> groups;
  for (size_t i = 0; i < readers.size(); ++i) groups[root(i)].push_back(readers[i]);
  std::vector<Readers> result;
  for (auto& [first, members] : groups) result.push_back(std::move(members));
  return result;
}

// A folded weight (its name is made up) that two calls of one module read was one parameter. A
// copy with a name of its own was a parameter of its own.
void Sharing::decide_copies(const std::vector<InitializerCopy>& copies) {
  std::map<std::pair<std::string, std::string>, std::string> first;  // source, module -> tensor
  std::map<std::string, std::string> scopes;  // tensor -> of its first reader
  const auto consider = [&](const std::string& source, const std::string& name) {
    if (!has(name) || !is_exporter_name(name) || readers_[name].empty()) return;
    const std::vector<Readers> groups = by_module(name);
    if (groups.size() != 1) return;
    const OnnxNode& reader = *groups[0][0].node;
    scopes[name] = reader.name.substr(0, reader.name.rfind('/') + 1);
    const auto [found, is_new] = first.emplace(std::pair(source, modules_.of(reader)), name);
    // Two different weights of one call are equal only if they are all zeros or the like.
    const bool is_coincidence = !is_new && scopes[found->second] == scopes[name] &&
                                is_uniform(*find_constant(graph_, name));
    if (!is_new && !is_coincidence) {
      merge(found->second, name, "a module that is called twice reads both");
    }
  };
  std::set<std::string> sources;
  for (const InitializerCopy& copy : copies) {
    if (sources.insert(copy.source).second) consider(copy.source, copy.source);
  }
  for (const InitializerCopy& copy : copies) consider(copy.source, copy.name);
}

void Sharing::decide_shared(const std::string& name) {
  const Constant& tensor = graph_.initializers.at(name);
  if (readers_[name].size() < 2 || !tensor.is_float()) return;
  if (marks_merges_) return;  // who reads it directly reads one tensor
  const bool may_be_merged = tensor.element_count() <= kMergedElementsMax ||
                             (graph_.producer != "pytorch" && is_uniform(tensor));
  if (!may_be_merged) return;
  const std::vector<Readers> groups = by_module(name);
  if (groups.size() < 2) return;
  split(name, groups, "in the file it is '" + name + "', which another module reads, too");
}

void Sharing::decide(const IdentityCopies& identities) {
  if (identities.by_storage) {
    for (const InitializerCopy& copy : identities.copies) {
      if (!has(copy.name)) continue;
      if (!has(copy.source)) {  // read through Identities alone
        TensorInfo source;
        source.name = copy.source;
        source.shape = find_constant(graph_, copy.source)->type.shape;
        add(std::move(source));
      }
      merge(copy.source, copy.name, "a training export merges what shares its memory");
    }
  } else {
    decide_copies(identities.copies);
  }
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensors_) names.push_back(tensor.name);
  for (const std::string& name : names) {
    if (graph_.initializers.count(name) != 0) decide_shared(name);
  }
}

bool Sharing::split_by_node(const std::string& name) {
  std::vector<Readers> groups;
  for (const Reader& reader : readers_[name]) {
    if (groups.empty() || groups.back()[0].node != reader.node) groups.emplace_back();
    groups.back().push_back(reader);
  }
  if (groups.size() < 2) return false;
  split(name, groups, "--untie " + name);
  return true;
}

bool Sharing::untie(const std::string& name) {
  const std::string root = info(name).tied_to.empty() ? name : info(name).tied_to;
  std::vector<std::string> names = {root};
  for (TensorInfo& tensor : tensors_) {
    if (tensor.tied_to != root) continue;
    tensor.tied_to.clear();
    tensor.reason = "--untie " + name;
    names.push_back(tensor.name);
  }
  bool has_split = names.size() > 1;
  for (const std::string& each : names) {
    readers_[each] = own_[each];
    for (const Reader& reader : readers_[each]) {
      reader.node->inputs[static_cast<size_t>(reader.input)] = each;
    }
    has_split = split_by_node(each) || has_split;
  }
  return has_split;
}

Status Sharing::tie(const std::string& kept, const std::string& other) {
  const std::string root = info(kept).tied_to.empty() ? kept : info(kept).tied_to;
  const std::string joined = info(other).tied_to.empty() ? other : info(other).tied_to;
  const TensorInfo& a = info(root);
  const TensorInfo& b = info(joined);
  if (root == joined) return {};
  if (!(a.shape == b.shape)) {
    return invalid_error("--tie %s=%s: their shapes are %s and %s; one tensor has one shape",
                         kept.c_str(), other.c_str(), to_string(a.shape).c_str(),
                         to_string(b.shape).c_str());
  }
  if (!find_constant(graph_, root)->is_float() || !find_constant(graph_, joined)->is_float()) {
    return invalid_error("--tie %s=%s: they hold integers, which do not train", kept.c_str(),
                         other.c_str());
  }
  merge(root, joined, "--tie " + kept + "=" + other);
  return {};
}

}  // namespace ft
