#include "tests/graph_fuzz/sketch.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace ft::fuzz {
namespace {

// Root of the mean square that values are kept between.
constexpr double kTypicalLeast = 0.02;
constexpr double kTypicalMost = 8;
// What is smaller is zero but for rounding, x - x say: scaled up it would be noise.
constexpr double kNothing = 1e-4;

double typical(const Array& array) {
  double square = 0;
  for (const double x : array.at) square += x * x;
  return std::sqrt(square / static_cast<double>(array.at.size()));
}

}  // namespace

Sketch::Sketch(uint64_t seed) : seed_(seed), dice_(seed, Stream::kGraph) {
  graph_.opset = static_cast<int>(dice_.between(13, 17));
  graph_.rows = dice_.of<int64_t>({1, 2, 2, 3, 3, 4, 5});
  graph_.fixed_rows = dice_.chance(30);
  draw_start();
}

void Sketch::draw_start() {
  const std::vector<int64_t> channels = {1, 2, 3, 3, 4, 5};
  const std::vector<int64_t> extents = {1, 2, 3, 4, 5, 6, 7, 9};
  Dims dims = {rows()};
  const int64_t form = dice_.below(10);
  if (form < 3) {
    dims.push_back(dice_.of<int64_t>({1, 2, 4, 6, 7, 9, 12}));
  } else if (form < 5) {
    dims.insert(dims.end(), {dice_.of(channels), dice_.of(extents)});
  } else {
    dims.insert(dims.end(), {dice_.of(channels), dice_.of(extents), dice_.of(extents)});
  }
  Leaf leaf;
  leaf.name = "input";
  leaf.kind = LeafKind::kInput;
  leaf.dims = dims;
  leaf.low = -2;
  leaf.high = 2;
  graph_.leaves.push_back(leaf);
  values_["input"] = draw_input(graph_, seed_, 0, 0);
  pool_.push_back("input");
}

std::string Sketch::name_for(const std::string& stem) { return stem + std::to_string(next_++); }

std::string Sketch::add_leaf(Leaf leaf) {
  Graph one;
  one.leaves = {leaf};
  values_[leaf.name] = draw_leaves(one, seed_, 0).at(leaf.name);
  graph_.leaves.push_back(leaf);
  return leaf.name;
}

std::string Sketch::fresh_weight(const Dims& dims, float low, float high) {
  return add_leaf({name_for("w"), LeafKind::kWeight, dims, low, high});
}

std::string Sketch::reused(const Dims& dims) {
  std::vector<std::string> found;
  for (const Leaf& leaf : graph_.leaves) {
    if (leaf.kind == LeafKind::kWeight && leaf.dims == dims) found.push_back(leaf.name);
  }
  return found.empty() ? "" : dice_.of(found);
}

// Weights that a node makes from weights, of about the same size.
std::string Sketch::computed_weight(const Dims& dims, float low, float high) {
  switch (dice_.below(5)) {
    case 0: {
      if (dims.size() < 2) break;
      Dims turned(dims.rbegin(), dims.rend());
      const std::string source = dice_.chance(50) ? reused(turned) : "";
      return node("Transpose", {source.empty() ? fresh_weight(turned, low, high) : source});
    }
    case 1:
      return node("Mul", {fresh_weight(dims, low, high), weight({1}, 0.5F, 1.5F)});
    case 2:
      return node("Reshape", {fresh_weight({count_of(dims)}, low, high), integers(dims)});
    case 3:
      if (low >= 0) break;
      return node("Tanh", {fresh_weight(dims, low, high)});
    default:
      break;
  }
  const std::string first = fresh_weight(dims, low, high);
  return node("Add", {first, weight(dims, 0, 0.5F)});
}

std::string Sketch::weight(const Dims& dims, float low, float high) {
  if (dice_.chance(35)) {
    const std::string other = reused(dims);
    if (!other.empty()) return other;
  }
  if (dice_.chance(8)) return computed_weight(dims, low, high);
  return fresh_weight(dims, low, high);
}

std::string Sketch::constant(const Dims& dims, float low, float high) {
  Leaf leaf = {name_for("c"), LeafKind::kConstant, dims, low, high};
  leaf.in_node = true;
  return add_leaf(leaf);
}

std::string Sketch::integers(const std::vector<int64_t>& values) {
  Leaf leaf = {name_for("i"), LeafKind::kIntegers, {static_cast<int64_t>(values.size())}};
  leaf.integers = values;
  leaf.in_node = dice_.chance(50);
  return add_leaf(leaf);
}

std::string Sketch::flag(bool value) {
  Leaf leaf = {name_for("i"), LeafKind::kFlag, {}};
  leaf.integers = {value ? 1 : 0};
  leaf.in_node = dice_.chance(50);
  return add_leaf(leaf);
}

std::string Sketch::statistic(const Dims& dims, float low, float high) {
  return add_leaf({name_for("s"), LeafKind::kStatistic, dims, low, high});
}

std::string Sketch::node(const std::string& op, const std::vector<std::string>& inputs,
                         const TestAttributes& attributes, size_t outputs) {
  GraphNode made = {op, inputs, {}, attributes};
  std::string stem = op;
  std::transform(stem.begin(), stem.end(), stem.begin(), [](char c) { return std::tolower(c); });
  const std::string name = name_for(stem);
  made.outputs.push_back(name);
  for (size_t i = 1; i < outputs; ++i) made.outputs.push_back(name + "_" + std::to_string(i));
  std::vector<Array> results = run_node(made, graph_.opset, values_, {});
  values_[name] = std::move(results[0]);
  graph_.nodes.push_back(std::move(made));
  return name;
}

std::string Sketch::grow(const std::string& op, const std::vector<std::string>& inputs,
                         const TestAttributes& attributes, size_t outputs) {
  return settle(node(op, inputs, attributes, outputs));
}

std::string Sketch::settle(const std::string& name) {
  std::string settled = name;
  const double size = typical(values_.at(name));
  if (size > kTypicalMost || (size > kNothing && size < kTypicalLeast)) {
    const auto factor = static_cast<float>(std::exp2(std::round(-std::log2(size))));
    settled = node("Mul", {name, constant({}, factor, factor)});
  }
  if (dice_.chance(10)) settled = viewed(settled);
  pool_.push_back(settled);
  return settled;
}

std::string Sketch::viewed(const std::string& name) {
  const Dims shape = dims(name);
  const auto rank = static_cast<int64_t>(shape.size());
  switch (dice_.below(4)) {
    case 0:
      return node("Identity", {name});
    case 1: {
      if (rank > 5) break;
      const std::string axes = integers({dice_.between(1, rank)});
      return node("Squeeze", {node("Unsqueeze", {name, axes}), axes});
    }
    case 2:
      if (rank == 2) return node("Flatten", {name});
      break;
    default:
      break;
  }
  Dims target = shape;
  target[0] = dice_.chance(50) ? 0 : -1;
  return node("Reshape", {name, integers(target)});
}

std::string Sketch::pick(size_t least, size_t most) {
  std::vector<std::string> fit;
  for (const std::string& name : pool_) {
    if (rank(name) >= least && rank(name) <= most) fit.push_back(name);
  }
  if (fit.empty()) return "";
  const auto count = static_cast<int64_t>(fit.size());
  const int64_t reach = dice_.chance(50)   ? 1
                        : dice_.chance(60) ? std::min<int64_t>(4, count)
                                           : count;
  return fit[static_cast<size_t>(count - 1 - dice_.below(reach))];
}

std::vector<std::string> Sketch::alike(const Dims& shape) const {
  std::vector<std::string> fit;
  for (const std::string& name : pool_) {
    if (dims(name) == shape) fit.push_back(name);
  }
  return fit;
}

std::string Sketch::pick_map(size_t spatial) {
  const size_t least = spatial == 0 ? 3 : 2 + spatial;
  const size_t most = spatial == 0 ? 4 : 2 + spatial;
  const std::string found = dice_.chance(90) ? pick(least, most) : "";
  if (!found.empty()) return found;
  const std::string source = pick();
  const int64_t per_row = count(source) / rows();
  const size_t wanted = spatial == 0 ? static_cast<size_t>(dice_.between(1, 2)) : spatial;
  Dims target = {0};
  int64_t left = per_row;
  for (size_t axis = 0; axis < wanted; ++axis) {
    int64_t dim = dice_.between(1, 4);
    while (left % dim != 0) --dim;
    target.push_back(dim);
    left /= dim;
  }
  target.push_back(left);
  return grow("Reshape", {source, integers(target)});
}

std::string Sketch::pick_matrix() {
  const std::string found = dice_.chance(80) ? pick(2, 2) : "";
  if (!found.empty()) return found;
  const std::string source = pick();
  if (rank(source) == 1) return grow("Unsqueeze", {source, integers({1})});
  if (rank(source) >= 3 && rank(source) <= 4 && dice_.chance(40)) {
    return grow("Flatten", {grow("GlobalAveragePool", {source})});
  }
  return grow("Flatten", {source});
}

std::vector<std::string> Sketch::unread() const {
  std::set<std::string> read;
  for (const GraphNode& n : graph_.nodes) read.insert(n.inputs.begin(), n.inputs.end());
  std::vector<std::string> list;
  for (const std::string& name : pool_) {
    if (read.count(name) == 0) list.push_back(name);
  }
  return list;
}

bool Sketch::depends_on_weight(const std::string& name) const {
  Graph probe = graph_;
  probe.output = name;
  const Graph needed = pruned(probe);
  return std::any_of(needed.leaves.begin(), needed.leaves.end(),
                     [](const Leaf& leaf) { return leaf.kind == LeafKind::kWeight; });
}

Graph Sketch::finish(const std::string& output, LossKind loss) {
  graph_.output = output;
  graph_.loss = loss;
  return graph_;
}

}  // namespace ft::fuzz
