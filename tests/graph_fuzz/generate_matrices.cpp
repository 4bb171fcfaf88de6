// Matrix products, softmax, means, and operators that only move elements. None mixes rows.

#include <algorithm>
#include <cmath>

#include "tests/graph_fuzz/generators.h"

namespace ft::fuzz {
namespace {

float bound_for(int64_t terms) {
  return static_cast<float>(std::sqrt(3.0 / static_cast<double>(terms)));
}

bool gemm(Sketch& sketch) {
  Dice& dice = sketch.dice();
  const std::string x = sketch.pick_matrix();
  const int64_t k = sketch.dims(x)[1];
  const int64_t n = dice.chance(30) ? k : dice.of<int64_t>({1, 2, 3, 5, 8});
  if (k * n > kFuzzElementsMax || sketch.rows() * n > kFuzzElementsMax) return false;
  const bool turns = dice.chance(60);
  const Dims weight = turns ? Dims{n, k} : Dims{k, n};
  std::vector<std::string> inputs = {x, sketch.weight(weight, -bound_for(k), bound_for(k))};
  const int64_t form = dice.below(6);
  if (form < 3) inputs.push_back(sketch.weight({n}, -0.5F, 0.5F));
  if (form == 3) inputs.push_back(sketch.weight({1, dice.chance(50) ? n : 1}, -0.5F, 0.5F));
  if (form == 4) {  // a value with rows: {N, n} or {N, 1}
    const std::vector<std::string> fit = sketch.alike({sketch.rows(), dice.chance(60) ? n : 1});
    if (!fit.empty()) inputs.push_back(dice.of(fit));
  }
  TestAttributes attributes;
  if (turns) attributes["transB"] = int64_t{1};
  if (dice.chance(25)) attributes["alpha"] = dice.uniform(0.5F, 1.5F);
  if (dice.chance(25)) attributes["beta"] = dice.uniform(0.5F, 1.5F);
  sketch.grow("Gemm", inputs, attributes);
  return true;
}

// x times a weight, {D, M} or one matrix for each of the axes before.
bool linear(Sketch& sketch, const std::string& x) {
  Dice& dice = sketch.dice();
  const Dims dims = sketch.dims(x);
  const int64_t k = dims.back();
  const int64_t m = dice.chance(30) ? k : dice.of<int64_t>({1, 2, 3, 5, 8});
  Dims weight = {k, m};
  if (dims.size() >= 4 && dice.chance(40)) weight.insert(weight.begin(), dims[1]);
  if (count_of(weight) > kFuzzElementsMax) return false;
  if (count_of(dims) / k * m > kFuzzElementsMax) return false;
  sketch.grow("MatMul", {x, sketch.weight(weight, -bound_for(k), bound_for(k))});
  return true;
}

// A weight times x: {M, T} times {N, ..., T, D}.
bool mixed_axis(Sketch& sketch, const std::string& x) {
  const Dims dims = sketch.dims(x);
  const int64_t k = dims[dims.size() - 2];
  const int64_t m = sketch.dice().between(1, 6);
  if (dims.size() < 3 || count_of(dims) / k * m > kFuzzElementsMax) return false;
  sketch.grow("MatMul", {sketch.weight({m, k}, -bound_for(k), bound_for(k)), x});
  return true;
}

// x times the transpose of a value alike, or times itself where it is square.
bool both_values(Sketch& sketch, const std::string& x) {
  const Dims dims = sketch.dims(x);
  if (dims.size() < 3) return false;
  const int64_t length = dims[dims.size() - 2];
  if (length == dims.back() && sketch.dice().chance(60)) {
    sketch.grow("MatMul", {x, sketch.dice().of(sketch.alike(dims))});
    return true;
  }
  if (count_of(dims) / dims.back() * length > kFuzzElementsMax) return false;
  Dims perm;
  for (size_t i = 0; i < dims.size(); ++i) perm.push_back(static_cast<int64_t>(i));
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  const std::string other = sketch.dice().of(sketch.alike(dims));
  sketch.grow("MatMul", {x, sketch.node("Transpose", {other}, {{"perm", perm}})});
  return true;
}

bool mat_mul(Sketch& sketch) {
  const std::string x = sketch.pick(2, 4);
  if (x.empty()) return false;
  const int64_t form = sketch.dice().below(6);
  if (form == 0 && mixed_axis(sketch, x)) return true;
  if (form <= 2 && both_values(sketch, x)) return true;
  return linear(sketch, x);
}

int64_t draw_axis(Sketch& sketch, size_t rank) {
  const int64_t axis = sketch.dice().between(1, static_cast<int64_t>(rank) - 1);
  return sketch.dice().chance(30) ? axis - static_cast<int64_t>(rank) : axis;
}

bool softmax_like(Sketch& sketch, const std::string& op) {
  const std::string x = sketch.pick(2);
  if (x.empty()) return false;
  TestAttributes attributes;
  if (sketch.dice().chance(80)) attributes["axis"] = draw_axis(sketch, sketch.rank(x));
  sketch.grow(op, {x}, attributes);
  return true;
}

bool softmax(Sketch& sketch) { return softmax_like(sketch, "Softmax"); }
bool log_softmax(Sketch& sketch) { return softmax_like(sketch, "LogSoftmax"); }

bool reduce_mean(Sketch& sketch) {
  const std::string x = sketch.pick(2);
  if (x.empty()) return false;
  Dims axes;
  for (size_t axis = 1; axis < sketch.rank(x); ++axis) {
    if (!sketch.dice().chance(50)) continue;
    const auto at = static_cast<int64_t>(axis);
    const auto rank = static_cast<int64_t>(sketch.rank(x));
    axes.push_back(sketch.dice().chance(30) ? at - rank : at);
  }
  if (axes.empty()) return false;
  TestAttributes attributes = {{"axes", axes}};
  if (sketch.dice().chance(70)) attributes["keepdims"] = sketch.dice().below(2);
  sketch.grow("ReduceMean", {x}, attributes);
  return true;
}

const Generator kGenerators[] = {
    {"Gemm", gemm},       {"LogSoftmax", log_softmax},
    {"MatMul", mat_mul},  {"ReduceMean", reduce_mean},
    {"Softmax", softmax},
};

}  // namespace

std::span<const Generator> matrix_generators() { return kGenerators; }

}  // namespace ft::fuzz
