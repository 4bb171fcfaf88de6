// Patterns that models are made of, and the whole graph.

#include <algorithm>
#include <cmath>

#include "kernels/op.h"
#include "tests/graph_fuzz/generators.h"

namespace ft::fuzz {
namespace {

const char* draw_activation(Dice& dice) {
  return dice.of<const char*>({"Relu", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid"});
}

float bound_for(int64_t terms) {
  return static_cast<float>(std::sqrt(3.0 / static_cast<double>(terms)));
}

// A heavy node whose output has the shape of `x`.
std::string same_shape(Sketch& sketch, const std::string& x) {
  const Dims dims = sketch.dims(x);
  if (dims.size() == 3 || dims.size() == 4) {
    const int64_t c = dims[1];
    Dims weight = {c, c};
    Dims pads;
    const int64_t kernel = sketch.dice().of<int64_t>({1, 3});
    for (size_t i = 2; i < dims.size(); ++i) weight.push_back(kernel);
    pads.assign(2 * (dims.size() - 2), kernel / 2);
    const float bound = bound_for(count_of(weight) / c);
    return sketch.grow("Conv", {x, sketch.weight(weight, -bound, bound)}, {{"pads", pads}});
  }
  if (dims.size() < 2) return sketch.grow("Mul", {x, sketch.weight({1}, 0.5F, 1.5F)});
  const int64_t d = dims.back();
  return sketch.grow("MatMul", {x, sketch.weight({d, d}, -bound_for(d), bound_for(d))});
}

// x + f(relu(x)), f with a second activation or without.
void residual(Sketch& sketch) {
  const std::string x = sketch.pick(2, 4);
  std::string y = same_shape(sketch, sketch.grow(draw_activation(sketch.dice()), {x}));
  if (sketch.dice().chance(50)) {
    y = same_shape(sketch, sketch.grow(draw_activation(sketch.dice()), {y}));
  }
  const bool swaps = sketch.dice().chance(50);
  sketch.grow("Add", swaps ? std::vector<std::string>{y, x} : std::vector<std::string>{x, y});
}

// Each step sees all that came before it.
void dense(Sketch& sketch) {
  std::string x = sketch.pick(2, 4);
  for (int step = 0; step < 2; ++step) {
    if (2 * sketch.count(x) > kFuzzElementsMax) return;
    const std::string y = same_shape(sketch, sketch.grow("Relu", {x}));
    x = sketch.grow("Concat", {x, y}, {{"axis", int64_t{1}}});
  }
}

// A map times a factor for each channel that is computed from the map.
void squeeze_and_excite(Sketch& sketch) {
  const std::string x = sketch.pick_map(2);
  const int64_t c = sketch.dims(x)[1];
  const int64_t middle = std::max<int64_t>(1, c / 2);
  std::string s = sketch.grow("GlobalAveragePool", {x});
  s = sketch.grow("Conv", {s, sketch.weight({middle, c, 1, 1}, -bound_for(c), bound_for(c))});
  s = sketch.grow("Relu", {s});
  s = sketch.grow("Conv", {s, sketch.weight({c, middle, 1, 1}, -1, 1), sketch.weight({c})});
  s = sketch.grow(sketch.dice().chance(50) ? "Sigmoid" : "HardSigmoid", {s});
  sketch.grow("Mul", {x, s});
}

// One storage all along.
void chain(Sketch& sketch) {
  std::string x = sketch.pick();
  for (int64_t links = sketch.dice().between(2, 4); links > 0; --links) {
    x = sketch.grow(draw_activation(sketch.dice()), {x});
  }
}

// Several activations of one value, joined.
void fan(Sketch& sketch) {
  const std::string x = sketch.pick();
  std::string sum = sketch.grow(draw_activation(sketch.dice()), {x});
  for (int64_t more = sketch.dice().between(1, 3); more > 0; --more) {
    const std::string y = sketch.grow(draw_activation(sketch.dice()), {x});
    sum = sketch.grow(sketch.dice().chance(60) ? "Add" : "Mul", {sum, y});
  }
}

void attention(Sketch& sketch) {
  const std::string x = sketch.pick(3, 3);
  if (x.empty()) return;
  const int64_t d = sketch.dims(x)[2];
  const auto project = [&] {
    return sketch.grow("MatMul", {x, sketch.weight({d, d}, -bound_for(d), bound_for(d))});
  };
  const std::string keys = project();
  const std::string turned = sketch.grow("Transpose", {keys}, {{"perm", Dims{0, 2, 1}}});
  const std::string scores = sketch.grow("MatMul", {project(), turned});
  sketch.grow("MatMul", {sketch.grow("Softmax", {scores}, {{"axis", int64_t{-1}}}), project()});
}

// x + a linear layer over all positions of all rows at once.
void merged_rows(Sketch& sketch) {
  const std::string x = sketch.pick(3, 4);
  if (x.empty()) return;
  const Dims dims = sketch.dims(x);
  const int64_t d = dims.back();
  const std::string flat = sketch.node("Reshape", {x, sketch.integers({-1, d})});
  const std::string y = sketch.node(
      "Gemm", {flat, sketch.weight({d, d}, -bound_for(d), bound_for(d)), sketch.weight({d})});
  Dims back = dims;
  back[0] = -1;
  sketch.grow("Add", {x, sketch.node("Reshape", {y, sketch.integers(back)})});
}

// x + something on axes among which the rows are not the first.
void moved_rows(Sketch& sketch) {
  const std::string x = sketch.pick(2, 4);
  if (x.empty()) return;
  Dims perm;
  for (size_t i = 0; i < sketch.rank(x); ++i) perm.push_back(static_cast<int64_t>(i));
  std::swap(perm[0], perm[1]);
  const std::string turned = sketch.node("Transpose", {x}, {{"perm", perm}});
  const std::string y = sketch.node(draw_activation(sketch.dice()), {turned});
  sketch.grow("Add", {x, sketch.node("Transpose", {y}, {{"perm", perm}})});
}

// One tensor for both products, one of them with the transpose.
void tied(Sketch& sketch) {
  const std::string x = sketch.pick_matrix();
  const int64_t d = sketch.dims(x)[1];
  const int64_t m = sketch.dice().between(1, 5);
  const std::string w = sketch.fresh_weight({m, d}, -bound_for(d), bound_for(d));
  std::string y = sketch.grow("Gemm", {x, w}, {{"transB", int64_t{1}}});
  y = sketch.grow(draw_activation(sketch.dice()), {y});
  sketch.grow(sketch.dice().chance(50) ? "Gemm" : "MatMul", {y, w});
}

// One value of rank 2 for the loss, made of what is there.
std::string draw_head(Sketch& sketch) {
  std::vector<std::string> parts;
  const std::vector<std::string> unread = sketch.unread();
  for (size_t i = unread.size(); i-- > 0 && parts.size() < 3;) {
    if (parts.empty() || sketch.dice().chance(60)) parts.push_back(unread[i]);
  }
  if (parts.empty()) parts.push_back(sketch.pick());
  std::vector<std::string> flat;
  int64_t width = 0;
  for (const std::string& part : parts) {
    const std::string row = sketch.rank(part) == 1
                                ? sketch.node("Unsqueeze", {part, sketch.integers({1})})
                                : sketch.node("Flatten", {part});
    flat.push_back(row);
    width += sketch.dims(row)[1];
  }
  const std::string all =
      flat.size() == 1 ? flat[0] : sketch.node("Concat", flat, {{"axis", int64_t{1}}});
  const int64_t classes = sketch.dice().between(2, 5);
  const float bound = bound_for(width);
  return sketch.node(
      "Gemm",
      {all, sketch.weight({classes, width}, -bound, bound), sketch.weight({classes}, -0.5F, 0.5F)},
      {{"transB", int64_t{1}}});
}

}  // namespace

const Generator* find_generator(std::string_view op) {
  for (const auto list :
       {elementwise_generators(), map_generators(), matrix_generators(), shape_generators()}) {
    for (const Generator& generator : list) {
      if (op == generator.op) return &generator;
    }
  }
  return nullptr;
}

void draw_pattern(Sketch& sketch) {
  static const std::vector<void (*)(Sketch&)> kPatterns = {
      residual, residual, dense,     squeeze_and_excite, chain,     fan,
      fan,      tied,     attention, merged_rows,        moved_rows};
  sketch.dice().of(kPatterns)(sketch);
}

Graph draw_graph(uint64_t seed) {
  Sketch sketch(seed);
  Dice& dice = sketch.dice();
  const std::span<const Op> ops = op_table();
  const int64_t size = dice.below(100);
  const int64_t steps = size < 50   ? dice.between(2, 8)
                        : size < 85 ? dice.between(9, 20)
                                    : dice.between(21, 40);
  if (dice.chance(60)) same_shape(sketch, "input");
  for (int64_t step = 0; step < steps; ++step) {
    if (dice.chance(20) && sketch.pick(2, 4) != "") {
      draw_pattern(sketch);
      continue;
    }
    const Op& op = ops[static_cast<size_t>(dice.below(static_cast<int64_t>(ops.size())))];
    const Generator* generator = find_generator(op.name);
    if (generator != nullptr) generator->draw(sketch);
  }
  if (dice.chance(60)) {
    const std::string head = draw_head(sketch);
    const bool classifies = dice.chance(70);
    return sketch.finish(head, classifies ? LossKind::kCrossEntropy : LossKind::kMeanSquaredError);
  }
  std::string output = sketch.pool().back();
  if (!sketch.depends_on_weight(output)) {
    output = sketch.node("Mul", {output, sketch.fresh_weight({1}, 0.5F, 1.5F)});
  }
  return sketch.finish(output, LossKind::kMeanSquaredError);
}

}  // namespace ft::fuzz
