#include "tests/graph_fuzz/graph.h"

#include <set>

#include "tests/graph_fuzz/dice.h"

namespace ft::fuzz {
namespace {

uint64_t hash_of(const std::string& name) {
  uint64_t hash = 0xCBF29CE484222325;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

Array draw(const Leaf& leaf, const Dims& dims, Dice dice) {
  Array array = zeros(dims);
  for (double& x : array.at) x = static_cast<double>(dice.uniform(leaf.low, leaf.high));
  return array;
}

std::vector<float> floats_of(const Array& array) {
  return std::vector<float>(array.at.begin(), array.at.end());
}

void write_leaf(const Leaf& leaf, const Values& values, OnnxWriter* writer) {
  if (leaf.kind == LeafKind::kFlag) {
    const WireMessage tensor = bool_tensor(leaf.in_node ? "" : leaf.name, leaf.integers[0] != 0);
    leaf.in_node ? writer->constant(leaf.name, tensor) : writer->initializer(tensor);
    return;
  }
  const std::string name = leaf.in_node ? "" : leaf.name;
  const WireMessage tensor = leaf.kind == LeafKind::kIntegers
                                 ? int_tensor(name, leaf.dims, leaf.integers)
                                 : float_tensor(name, leaf.dims, floats_of(values.at(leaf.name)));
  leaf.in_node ? writer->constant(leaf.name, tensor) : writer->initializer(tensor);
}

std::string to_text(const Dims& dims) {
  std::string text;
  for (const int64_t dim : dims) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "scalar" : text;
}

std::string to_text(const TestAttribute& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) return std::to_string(*i);
  if (const auto* f = std::get_if<float>(&value)) return std::to_string(*f);
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  return "[" + to_text(std::get<std::vector<int64_t>>(value)) + "]";
}

}  // namespace

const Leaf* Graph::leaf(const std::string& name) const {
  for (const Leaf& candidate : leaves) {
    if (candidate.name == name) return &candidate;
  }
  return nullptr;
}

Values draw_leaves(const Graph& graph, uint64_t seed, uint64_t attempt) {
  Values values;
  for (const Leaf& leaf : graph.leaves) {
    if (leaf.kind == LeafKind::kInput) continue;
    if (leaf.kind == LeafKind::kIntegers || leaf.kind == LeafKind::kFlag) {
      values[leaf.name] = {leaf.dims, {leaf.integers.begin(), leaf.integers.end()}};
      continue;
    }
    const uint64_t part = hash_of(leaf.name) + attempt;
    values[leaf.name] = draw(leaf, leaf.dims, Dice(seed, Stream::kValues, part));
  }
  return values;
}

Array draw_input(const Graph& graph, uint64_t seed, uint64_t attempt, uint64_t number) {
  Dims dims = graph.input().dims;
  dims[0] = graph.rows;
  return draw(graph.input(), dims, Dice(seed, Stream::kValues, (attempt << 32) + number));
}

std::vector<std::byte> to_onnx(const Graph& graph, const Values& leaves) {
  OnnxWriter writer(graph.opset);
  // Of an exporter by whom a tensor that several nodes read is one tensor.
  writer.producer("pytorch", "1.13.1");
  Dims dims = graph.input().dims;
  dims[0] = graph.fixed_rows ? graph.rows : -1;
  writer.input(graph.input().name, dims);
  for (const Leaf& leaf : graph.leaves) {
    if (leaf.kind != LeafKind::kInput) write_leaf(leaf, leaves, &writer);
  }
  for (const GraphNode& node : graph.nodes) {
    writer.node(node.op, node.inputs, node.outputs, node.attributes);
  }
  return writer.output(graph.output).bytes();
}

Graph pruned(const Graph& graph) {
  std::set<std::string> wanted = {graph.output};
  std::vector<bool> kept(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    for (const std::string& name : graph.nodes[i].outputs) kept[i] = kept[i] || wanted.count(name);
    if (kept[i]) wanted.insert(graph.nodes[i].inputs.begin(), graph.nodes[i].inputs.end());
  }
  Graph result = graph;
  result.nodes.clear();
  result.leaves.clear();
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]) result.nodes.push_back(graph.nodes[i]);
  }
  for (const Leaf& leaf : graph.leaves) {
    if (leaf.kind == LeafKind::kInput || wanted.count(leaf.name) != 0) {
      result.leaves.push_back(leaf);
    }
  }
  return result;
}

std::string describe_graph(const Graph& graph) {
  std::string text = format("opset %d, %lld rows%s, loss %s\n", graph.opset,
                            static_cast<long long>(graph.rows), graph.fixed_rows ? " (fixed)" : "",
                            graph.loss == LossKind::kCrossEntropy ? "cross-entropy" : "mse");
  static const char* const kKinds[] = {"input",    "weight",   "statistic",
                                       "constant", "integers", "flag"};
  for (const Leaf& leaf : graph.leaves) {
    text += format("  %s %s %s", kKinds[static_cast<size_t>(leaf.kind)], leaf.name.c_str(),
                   to_text(leaf.dims).c_str());
    for (const int64_t i : leaf.integers) text += format(" %lld", static_cast<long long>(i));
    text += '\n';
  }
  for (const GraphNode& node : graph.nodes) {
    text += "  ";
    for (const std::string& name : node.outputs) text += name + " ";
    text += "= " + node.op + "(";
    for (const std::string& name : node.inputs) text += (text.back() == '(' ? "" : ", ") + name;
    text += ")";
    for (const auto& [name, value] : node.attributes) text += " " + name + "=" + to_text(value);
    text += '\n';
  }
  return text + "  output " + graph.output + "\n";
}

}  // namespace ft::fuzz
