#pragma once

// GradientTerms: what the gradient of each value of a range has to be, as sums of addends in the
// order in which they are added (DESIGN 3): what the next range sends, then what each consumer
// contributes, from the last to the first, within one node from the last operand to the first. A
// sum that is added to goes on: (a + b) + c is one term of three addends; a + (b + c) has two.
//
// Made from the model alone, for the verifier, which compares a compiled program with it.

#include <cstdint>
#include <map>
#include <vector>

#include "onnx_import/model.h"
#include "runtime/base/layer_range.h"

namespace ft {

using Term = int32_t;
constexpr Term kNoTerm = -1;

class GradientTerms {
 public:
  // `is_view` by node of the range: its output's gradient is its input's. `received`: values whose
  // gradient comes from the next range.
  GradientTerms(const Model& model, LayerRange range, const std::vector<bool>& is_view,
                const std::vector<ValueId>& received);

  // The whole gradient of a value; kNoTerm when no loss depends on it within what is known here.
  Term whole(ValueId id) const { return whole_[static_cast<size_t>(id)]; }
  // What the next range sends for a value.
  Term received(ValueId id);
  // What the backward of node `local` (in the range) contributes for its operand.
  Term contribution(int local, size_t operand);
  Term sum(Term a, Term b);

 private:
  // {kReceived, value} or {kContribution, node, operand} or {kSum, terms...}
  using Key = std::vector<int32_t>;

  Term intern(const Key& key);
  bool has_gradient(const Node& node) const;
  Term add_consumers(ValueId id, Term first);

  const Model& model_;
  int32_t node_first_ = 0;
  std::vector<bool> is_view_;
  std::map<Key, Term> terms_;
  std::vector<const Key*> keys_;  // by term
  std::vector<Term> whole_;       // by ValueId
  // By ValueId: the consumers in this range, (node in the range, operand), ascending.
  std::vector<std::vector<std::pair<int, size_t>>> consumers_;
};

}  // namespace ft
