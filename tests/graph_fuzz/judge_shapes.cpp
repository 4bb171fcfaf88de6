// Operators that only move elements.

#include <algorithm>

#include "tests/graph_fuzz/judge_ops.h"

namespace ft::fuzz {
namespace {

Dims integers_of(const Array& array) { return Dims(array.at.begin(), array.at.end()); }

Dims reshape_dims(const NodeCall& call) {
  const Dims& from = call.inputs[0]->dims;
  Dims dims = integers_of(*call.inputs[1]);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0) dims[i] = from[i];
  }
  for (int64_t& dim : dims) {
    if (dim == -1) dim = count_of(from) / -count_of(dims);
  }
  return dims;
}

Dims flatten_dims(const NodeCall& call) {
  const Dims& from = call.inputs[0]->dims;
  const size_t axis = axis_of(int_of(call, "axis", 1), from.size());
  const auto split = from.begin() + static_cast<std::ptrdiff_t>(axis);
  return {count_of(Dims(from.begin(), split)), count_of(Dims(split, from.end()))};
}

Dims squeeze_dims(const NodeCall& call) {
  const Dims& from = call.inputs[0]->dims;
  std::vector<bool> gone;
  for (const int64_t dim : from) gone.push_back(input_of(call, 1) == nullptr && dim == 1);
  if (input_of(call, 1) != nullptr) {
    for (const int64_t axis : integers_of(*call.inputs[1])) gone[axis_of(axis, from.size())] = true;
  }
  Dims dims;
  for (size_t i = 0; i < from.size(); ++i) {
    if (!gone[i]) dims.push_back(from[i]);
  }
  return dims;
}

Dims unsqueeze_dims(const NodeCall& call) {
  const Dims& from = call.inputs[0]->dims;
  const Dims axes = integers_of(*call.inputs[1]);
  Dims dims(from.size() + axes.size(), 0);
  for (const int64_t axis : axes) dims[axis_of(axis, dims.size())] = 1;
  auto next = from.begin();
  for (int64_t& dim : dims) {
    if (dim == 0) dim = *next++;
  }
  return dims;
}

Dims same_dims(const NodeCall& call) { return call.inputs[0]->dims; }

template <Dims (*kDims)(const NodeCall&)>
void view_forward(const NodeCall& call, std::vector<Array>* outputs) {
  *outputs = {Array{kDims(call), call.inputs[0]->at}};
}

void view_backward(const NodeCall&, const std::vector<Array>&, const Array& grad,
                   const std::vector<Array*>& grad_inputs) {
  if (grad_inputs[0] == nullptr) return;
  for (size_t i = 0; i < grad.at.size(); ++i) grad_inputs[0]->at[i] += grad.at[i];
}

Dims perm_of(const NodeCall& call) {
  const size_t rank = call.inputs[0]->dims.size();
  Dims reversed;
  for (size_t axis = rank; axis-- > 0;) reversed.push_back(static_cast<int64_t>(axis));
  return ints_of(call, "perm", reversed);
}

void transpose_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Array& x = *call.inputs[0];
  Array y;
  for (const int64_t axis : perm_of(call)) y.dims.push_back(x.dims[static_cast<size_t>(axis)]);
  for (const int64_t i : permuted(x.dims, perm_of(call))) {
    y.at.push_back(x.at[static_cast<size_t>(i)]);
  }
  *outputs = {std::move(y)};
}

void transpose_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                        const std::vector<Array*>& grad_inputs) {
  if (grad_inputs[0] == nullptr) return;
  const auto from = permuted(call.inputs[0]->dims, perm_of(call));
  for (size_t i = 0; i < from.size(); ++i) {
    grad_inputs[0]->at[static_cast<size_t>(from[i])] += grad.at[i];
  }
}

// fn(operand, its element, element of the output) for all of them.
template <typename Function>
void for_operands(const NodeCall& call, const Function& fn) {
  const size_t axis = axis_of(int_of(call, "axis", 0), call.inputs[0]->dims.size());
  int64_t inner = 1;
  for (size_t i = axis + 1; i < call.inputs[0]->dims.size(); ++i) inner *= call.inputs[0]->dims[i];
  int64_t total = 0;
  for (const Array* x : call.inputs) total += x->dims[axis] * inner;
  int64_t first = 0;
  for (size_t k = 0; k < call.inputs.size(); ++k) {
    const int64_t run = call.inputs[k]->dims[axis] * inner;
    for (int64_t i = 0; i < count_of(call.inputs[k]->dims); ++i) {
      fn(k, static_cast<size_t>(i), static_cast<size_t>(i / run * total + first + i % run));
    }
    first += run;
  }
}

void concat_forward(const NodeCall& call, std::vector<Array>* outputs) {
  Dims dims = call.inputs[0]->dims;
  const size_t axis = axis_of(int_of(call, "axis", 0), dims.size());
  dims[axis] = 0;
  for (const Array* x : call.inputs) dims[axis] += x->dims[axis];
  Array y = zeros(dims);
  for_operands(call, [&](size_t k, size_t i, size_t out) { y.at[out] = call.inputs[k]->at[i]; });
  *outputs = {std::move(y)};
}

void concat_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                     const std::vector<Array*>& grad_inputs) {
  for_operands(call, [&](size_t k, size_t i, size_t out) {
    if (grad_inputs[k] != nullptr) grad_inputs[k]->at[i] += grad.at[out];
  });
}

const JudgeOp kOps[] = {
    {"Concat", concat_forward, concat_backward, nullptr},
    {"Flatten", view_forward<flatten_dims>, view_backward, nullptr},
    {"Identity", view_forward<same_dims>, view_backward, nullptr},
    {"Reshape", view_forward<reshape_dims>, view_backward, nullptr},
    {"Squeeze", view_forward<squeeze_dims>, view_backward, nullptr},
    {"Transpose", transpose_forward, transpose_backward, nullptr},
    {"Unsqueeze", view_forward<unsqueeze_dims>, view_backward, nullptr},
};

}  // namespace

std::span<const JudgeOp> shape_judges() { return kOps; }

}  // namespace ft::fuzz
