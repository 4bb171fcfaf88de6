#include "runtime/exec/gradient_terms.h"

#include <algorithm>

namespace ft {
namespace {

constexpr int32_t kReceived = 0;
constexpr int32_t kContribution = 1;
constexpr int32_t kSum = 2;

}  // namespace

GradientTerms::GradientTerms(const Model& model, LayerRange range, const std::vector<bool>& is_view,
                             const std::vector<ValueId>& received)
    : model_(model), is_view_(is_view) {
  node_first_ = model.layers[static_cast<size_t>(range.first)].node_first;
  const int32_t node_last = model.layers[static_cast<size_t>(range.last - 1)].node_last;
  whole_.assign(model.values.size(), kNoTerm);
  consumers_.resize(model.values.size());
  for (int32_t index = node_first_; index < node_last; ++index) {
    const Node& node = model.nodes[static_cast<size_t>(index)];
    for (size_t operand = 0; operand < node.inputs.size(); ++operand) {
      const ValueId id = node.inputs[operand];
      if (id != kNoValue) {
        consumers_[static_cast<size_t>(id)].push_back({index - node_first_, operand});
      }
    }
  }
  for (const ValueId id : received) whole_[static_cast<size_t>(id)] = this->received(id);
  const auto complete = [&](ValueId id) {
    if (id == kNoValue || !model.value(id).needs_gradient) return;
    whole_[static_cast<size_t>(id)] = add_consumers(id, whole(id));
  };
  // A node's outputs are read by later nodes only.
  for (int32_t index = node_last - 1; index >= node_first_; --index) {
    for (const ValueId id : model.nodes[static_cast<size_t>(index)].outputs) complete(id);
  }
  for (size_t i = 0; i < model.values.size(); ++i) {
    const int32_t producer = model.values[i].producer;
    if (producer < node_first_ || producer >= node_last) complete(static_cast<ValueId>(i));
  }
}

Term GradientTerms::received(ValueId id) { return intern({kReceived, id}); }

Term GradientTerms::contribution(int local, size_t operand) {
  return intern({kContribution, local, static_cast<int32_t>(operand)});
}

Term GradientTerms::sum(Term a, Term b) {
  if (a == kNoTerm) return b;
  const Key& first = *keys_[static_cast<size_t>(a)];
  Key key = first[0] == kSum ? first : Key{kSum, a};
  key.push_back(b);
  return intern(key);
}

Term GradientTerms::intern(const Key& key) {
  const auto [entry, is_new] = terms_.try_emplace(key, static_cast<Term>(keys_.size()));
  if (is_new) keys_.push_back(&entry->first);
  return entry->second;
}

bool GradientTerms::has_gradient(const Node& node) const {
  return std::any_of(node.outputs.begin(), node.outputs.end(),
                     [&](ValueId id) { return id != kNoValue && whole(id) != kNoTerm; });
}

Term GradientTerms::add_consumers(ValueId id, Term first) {
  const auto& consumers = consumers_[static_cast<size_t>(id)];
  Term term = first;
  for (size_t i = consumers.size(); i-- > 0;) {
    const auto [local, operand] = consumers[i];
    const Node& node = model_.nodes[static_cast<size_t>(node_first_ + local)];
    if (!has_gradient(node)) continue;
    if (!is_view_[static_cast<size_t>(local)]) {
      term = sum(term, contribution(local, operand));
    } else if (operand == 0) {
      term = sum(term, whole(node.outputs[0]));
    }
  }
  return term;
}

}  // namespace ft
