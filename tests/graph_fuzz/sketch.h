#pragma once

// Sketch: a graph while it is drawn. It evaluates every node on one batch as it goes (judge.h), so
// that shapes are known and values stay of a size that float32 gradients can be compared at.

#include "tests/graph_fuzz/dice.h"
#include "tests/graph_fuzz/judge.h"

namespace ft::fuzz {

class Sketch {
 public:
  explicit Sketch(uint64_t seed);

  Dice& dice() { return dice_; }
  const Graph& graph() const { return graph_; }
  int64_t rows() const { return graph_.rows; }
  const Dims& dims(const std::string& name) const { return values_.at(name).dims; }
  int64_t count(const std::string& name) const { return count_of(dims(name)); }
  size_t rank(const std::string& name) const { return dims(name).size(); }

  // Leaves. A weight is now and then one that stands elsewhere already, or computed from others.
  std::string weight(const Dims& dims, float low = -1, float high = 1);
  std::string fresh_weight(const Dims& dims, float low = -1, float high = 1);
  std::string constant(const Dims& dims, float low, float high);
  std::string integers(const std::vector<int64_t>& values);
  std::string flag(bool value);
  std::string statistic(const Dims& dims, float low, float high);

  // A node; returns its first output.
  std::string node(const std::string& op, const std::vector<std::string>& inputs,
                   const TestAttributes& attributes = {}, size_t outputs = 1);
  // The same, with its output settled.
  std::string grow(const std::string& op, const std::vector<std::string>& inputs,
                   const TestAttributes& attributes = {}, size_t outputs = 1);
  // Scales a value that is too large or too small, looks at some through a view, and makes it known
  // to those that pick. Returns what is to be read instead.
  std::string settle(const std::string& name);
  // Another name for the same elements in the same shape, behind one or two views.
  std::string viewed(const std::string& name);

  // A value with rows, of a rank in [least, most]; empty when there is none. Late ones are
  // likelier.
  std::string pick(size_t least = 1, size_t most = 8);
  // Values with rows of these dimensions.
  std::vector<std::string> alike(const Dims& dims) const;
  const std::vector<std::string>& pool() const { return pool_; }
  // A feature map of `spatial` axes (0: one or two); made from what is there if need be.
  std::string pick_map(size_t spatial = 0);
  std::string pick_matrix();  // rank 2

  // Values nobody reads yet.
  std::vector<std::string> unread() const;
  bool depends_on_weight(const std::string& name) const;
  Graph finish(const std::string& output, LossKind loss);

 private:
  std::string name_for(const std::string& stem);
  std::string add_leaf(Leaf leaf);
  std::string reused(const Dims& dims);
  std::string computed_weight(const Dims& dims, float low, float high);
  void draw_start();

  uint64_t seed_;
  Dice dice_;
  Graph graph_;
  Values values_;
  std::vector<std::string> pool_;
  int64_t next_ = 0;
};

// No value of a drawn graph has more elements.
constexpr int64_t kFuzzElementsMax = 1600;

}  // namespace ft::fuzz
