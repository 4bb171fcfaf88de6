// Functions of one element, of two with every kind of broadcast, dropout.

#include <algorithm>

#include "tests/graph_fuzz/generators.h"

namespace ft::fuzz {
namespace {

template <const char* kName>
bool plain(Sketch& sketch) {
  sketch.grow(kName, {sketch.pick()});
  return true;
}

constexpr char kRelu[] = "Relu";
constexpr char kSigmoid[] = "Sigmoid";
constexpr char kTanh[] = "Tanh";
constexpr char kAdd[] = "Add";
constexpr char kSub[] = "Sub";
constexpr char kMul[] = "Mul";
constexpr char kDiv[] = "Div";

bool hard_swish(Sketch& sketch) {
  if (sketch.graph().opset < 14) return false;
  sketch.grow("HardSwish", {sketch.pick()});
  return true;
}

bool hard_sigmoid(Sketch& sketch) {
  TestAttributes attributes;
  if (sketch.dice().chance(70)) attributes["alpha"] = sketch.dice().uniform(0.1F, 0.4F);
  if (sketch.dice().chance(50)) attributes["beta"] = sketch.dice().uniform(0.3F, 0.7F);
  sketch.grow("HardSigmoid", {sketch.pick()}, attributes);
  return true;
}

bool leaky_relu(Sketch& sketch) {
  TestAttributes attributes;
  if (sketch.dice().chance(70)) attributes["alpha"] = sketch.dice().uniform(0.05F, 0.5F);
  if (sketch.dice().chance(10)) attributes["alpha"] = sketch.dice().uniform(-0.5F, -0.1F);
  sketch.grow("LeakyRelu", {sketch.pick()}, attributes);
  return true;
}

bool clip(Sketch& sketch) {
  const int64_t form = sketch.dice().below(4);
  std::vector<std::string> inputs = {sketch.pick()};
  if (form == 0) {  // ReLU6
    inputs.push_back(sketch.constant({}, 0, 0));
    inputs.push_back(sketch.constant({}, 6, 6));
  } else {
    const float low = sketch.dice().uniform(-1.5F, -0.2F);
    const float high = sketch.dice().uniform(0.2F, 1.5F);
    inputs.push_back(form == 1 ? "" : sketch.constant({}, low, low));
    if (form != 2) inputs.push_back(sketch.constant({}, high, high));
  }
  sketch.grow("Clip", inputs);
  return true;
}

// Dimensions that broadcast to those of a value with rows, and have none: {C, 1, 1}, {W}, {1}, {}.
Dims narrower(Sketch& sketch, const Dims& dims) {
  const auto rank = static_cast<int64_t>(dims.size());
  const int64_t kept = sketch.dice().between(0, rank);
  Dims narrow(dims.end() - kept, dims.end());
  for (size_t axis = 0; axis < narrow.size(); ++axis) {
    const bool is_rows = static_cast<int64_t>(axis) == kept - rank;
    if (is_rows || sketch.dice().chance(35)) narrow[axis] = 1;
  }
  // An axis of one element that the other operand repeats.
  for (size_t axis = 0; axis < narrow.size(); ++axis) {
    const bool is_rows = static_cast<int64_t>(axis) == kept - rank;
    if (is_rows || dims[dims.size() - narrow.size() + axis] != 1) continue;
    if (sketch.dice().chance(15)) narrow[axis] = sketch.dice().between(2, 3);
  }
  return narrow;
}

// A value with rows that broadcasts with `name` without becoming too large; maybe itself.
std::string partner(Sketch& sketch, const std::string& name) {
  std::vector<std::string> fit = {name};
  for (const std::string& other : sketch.pool()) {
    if (sketch.rank(other) != sketch.rank(name)) continue;
    if (!do_broadcast(sketch.dims(other), sketch.dims(name))) continue;
    const Dims whole = broadcast(sketch.dims(other), sketch.dims(name));
    if (count_of(whole) <= kFuzzElementsMax) fit.push_back(other);
  }
  return sketch.dice().of(fit);
}

// A weight that is read elsewhere and broadcasts to `name`; empty when there is none.
std::string shared_weight(Sketch& sketch, const std::string& name) {
  const Dims& whole = sketch.dims(name);
  std::vector<std::string> fit;
  for (const Leaf& leaf : sketch.graph().leaves) {
    if (leaf.kind != LeafKind::kWeight || leaf.dims.size() > whole.size()) continue;
    const bool has_rows = leaf.dims.size() == whole.size() && leaf.dims[0] != 1;
    if (has_rows || !do_broadcast(leaf.dims, whole)) continue;
    if (broadcast(leaf.dims, whole) == whole) fit.push_back(leaf.name);
  }
  return fit.empty() ? "" : sketch.dice().of(fit);
}

template <const char* kName>
bool binary(Sketch& sketch) {
  const bool divides = kName[0] == 'D';
  const std::string x = sketch.pick();
  std::string other;
  const int64_t form = sketch.dice().below(10);
  if (form < 4) {
    other = form == 0 ? x : partner(sketch, x);
    if (divides) {
      other = sketch.node("Add", {sketch.node("Sigmoid", {other}), sketch.constant({}, 0.5F, 1)});
    }
  } else {
    const Dims dims = narrower(sketch, sketch.dims(x));
    if (count_of(broadcast(dims, sketch.dims(x))) > kFuzzElementsMax) return false;
    const float low = divides ? 0.6F : -1.5F;
    // A weight without dimensions is a question of its own: who trains a scalar?
    const bool is_constant = form < 6 || dims.empty();
    if (!divides && sketch.dice().chance(30)) other = shared_weight(sketch, x);
    if (other.empty()) {
      other = is_constant ? sketch.constant(dims, low, 1.5F)
              : divides   ? sketch.fresh_weight(dims, low, 1.5F)
                          : sketch.weight(dims, low, 1.5F);
    }
  }
  const bool swaps = !divides && sketch.dice().chance(40);
  sketch.grow(kName,
              swaps ? std::vector<std::string>{other, x} : std::vector<std::string>{x, other});
  return true;
}

bool dropout(Sketch& sketch) {
  std::vector<std::string> inputs = {sketch.pick(2)};
  if (inputs[0].empty()) return false;
  const bool drops = sketch.dice().chance(80);
  if (drops || sketch.dice().chance(50)) {
    const float ratio = sketch.dice().of<float>({0.0F, 0.1F, 0.25F, 0.5F, 0.75F});
    inputs.push_back(sketch.dice().chance(20) ? "" : sketch.constant({}, ratio, ratio));
    inputs.push_back(sketch.flag(drops));
  }
  sketch.grow("Dropout", inputs, {}, sketch.dice().chance(30) ? 2 : 1);
  return true;
}

const Generator kGenerators[] = {
    {"Add", binary<kAdd>},         {"Clip", clip},
    {"Div", binary<kDiv>},         {"Dropout", dropout},
    {"HardSigmoid", hard_sigmoid}, {"HardSwish", hard_swish},
    {"LeakyRelu", leaky_relu},     {"Mul", binary<kMul>},
    {"Relu", plain<kRelu>},        {"Sigmoid", plain<kSigmoid>},
    {"Sub", binary<kSub>},         {"Tanh", plain<kTanh>},
};

}  // namespace

std::span<const Generator> elementwise_generators() { return kGenerators; }

}  // namespace ft::fuzz
