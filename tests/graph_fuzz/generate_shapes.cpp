// Operators that only move elements. None mixes rows: axis 0 stays where it is.

#include <algorithm>

#include "tests/graph_fuzz/generators.h"

namespace ft::fuzz {
namespace {

constexpr size_t kDrawnRankMax = 5;

bool concat(Sketch& sketch) {
  const std::string x = sketch.pick(2);
  if (x.empty()) return false;
  const Dims dims = sketch.dims(x);
  const auto axis =
      static_cast<size_t>(sketch.dice().between(1, static_cast<int64_t>(dims.size()) - 1));
  std::vector<std::string> fit;
  for (const std::string& other : sketch.pool()) {
    Dims same = sketch.dims(other);
    if (same.size() != dims.size()) continue;
    same[axis] = dims[axis];
    if (same == dims) fit.push_back(other);
  }
  std::vector<std::string> operands = {x};
  int64_t total = sketch.count(x);
  for (int64_t more = sketch.dice().between(1, 3); more > 0; --more) {
    operands.push_back(sketch.dice().chance(25) ? x : sketch.dice().of(fit));
    total += sketch.count(operands.back());
  }
  if (total > kFuzzElementsMax) return false;
  if (sketch.dice().chance(40)) std::swap(operands.front(), operands.back());
  const auto from_end = static_cast<int64_t>(axis) - static_cast<int64_t>(dims.size());
  const int64_t given = sketch.dice().chance(20) ? from_end : static_cast<int64_t>(axis);
  sketch.grow("Concat", operands, {{"axis", given}});
  return true;
}

bool flatten(Sketch& sketch) {
  const std::string x = sketch.pick(2);
  if (x.empty()) return false;
  const auto rank = static_cast<int64_t>(sketch.rank(x));
  TestAttributes attributes;
  if (sketch.dice().chance(60)) {
    attributes["axis"] = sketch.dice().chance(30) ? 1 - rank : int64_t{1};
  }
  sketch.grow("Flatten", {x}, attributes);
  return true;
}

bool identity(Sketch& sketch) {
  sketch.grow("Identity", {sketch.pick()});
  return true;
}

bool reshape(Sketch& sketch) {
  Dice& dice = sketch.dice();
  const std::string x = sketch.pick();
  Dims target = {sketch.rows()};
  int64_t left = sketch.count(x) / sketch.rows();
  for (int64_t more = dice.between(0, 3); more > 0; --more) {
    int64_t dim = dice.between(1, 6);
    while (left % dim != 0) --dim;
    target.push_back(dim);
    left /= dim;
  }
  target.push_back(left);
  // The rows as 0, as -1, or as a file with fixed rows has them.
  const int64_t form = dice.below(3);
  if (form == 0 || !sketch.graph().fixed_rows) {
    target[0] = 0;
    if (dice.chance(50))
      target[static_cast<size_t>(dice.between(1, static_cast<int64_t>(target.size()) - 1))] = -1;
  }
  if (form == 1) {
    target[0] = -1;
    target.back() = left;
    for (size_t i = 1; i + 1 < target.size(); ++i) {
      if (target[i] == -1) return false;
    }
  }
  sketch.grow("Reshape", {x, sketch.integers(target)});
  return true;
}

bool squeeze(Sketch& sketch) {
  std::vector<std::string> fit;
  for (const std::string& name : sketch.pool()) {
    const Dims& dims = sketch.dims(name);
    if (std::count(dims.begin() + 1, dims.end(), 1) > 0) fit.push_back(name);
  }
  if (fit.empty()) return false;
  const std::string x = sketch.dice().of(fit);
  const auto rank = static_cast<int64_t>(sketch.rank(x));
  Dims axes;
  for (int64_t axis = 1; axis < rank; ++axis) {
    if (sketch.dims(x)[static_cast<size_t>(axis)] != 1) continue;
    if (!axes.empty() && sketch.dice().chance(40)) continue;
    axes.push_back(sketch.dice().chance(30) ? axis - rank : axis);
  }
  sketch.grow("Squeeze", {x, sketch.integers(axes)});
  return true;
}

bool unsqueeze(Sketch& sketch) {
  const std::string x = sketch.pick(1, kDrawnRankMax - 1);
  if (x.empty()) return false;
  const auto rank = static_cast<int64_t>(sketch.rank(x)) + 1;
  const int64_t axis = sketch.dice().between(1, rank - 1);
  sketch.grow("Unsqueeze", {x, sketch.integers({sketch.dice().chance(30) ? axis - rank : axis})});
  return true;
}

bool transpose(Sketch& sketch) {
  const std::string x = sketch.pick(2);
  if (x.empty()) return false;
  Dims perm;
  for (size_t i = 0; i < sketch.rank(x); ++i) perm.push_back(static_cast<int64_t>(i));
  for (size_t i = perm.size(); i-- > 2;) {
    std::swap(perm[i],
              perm[static_cast<size_t>(sketch.dice().between(1, static_cast<int64_t>(i)))]);
  }
  sketch.grow("Transpose", {x}, {{"perm", perm}});
  return true;
}

const Generator kGenerators[] = {
    {"Concat", concat},   {"Flatten", flatten},     {"Identity", identity},   {"Reshape", reshape},
    {"Squeeze", squeeze}, {"Transpose", transpose}, {"Unsqueeze", unsqueeze},
};

}  // namespace

std::span<const Generator> shape_generators() { return kGenerators; }

}  // namespace ft::fuzz
