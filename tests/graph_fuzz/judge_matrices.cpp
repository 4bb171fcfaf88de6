// Matrix products, softmax, means.

#include <algorithm>
#include <cmath>

#include "tests/graph_fuzz/judge_ops.h"

namespace ft::fuzz {
namespace {

// One product of Gemm, element (i, j) of op(A) at a(i, j).
struct Gemm {
  int64_t m, n, k;
  int64_t row_a, column_a, row_b, column_b;  // strides
  double alpha, beta;

  explicit Gemm(const NodeCall& call) {
    const Dims& a = call.inputs[0]->dims;
    const Dims& b = call.inputs[1]->dims;
    const bool turns_a = int_of(call, "transA", 0) != 0;
    const bool turns_b = int_of(call, "transB", 0) != 0;
    m = turns_a ? a[1] : a[0];
    k = turns_a ? a[0] : a[1];
    n = turns_b ? b[0] : b[1];
    row_a = turns_a ? 1 : a[1];
    column_a = turns_a ? a[1] : 1;
    row_b = turns_b ? 1 : b[1];
    column_b = turns_b ? b[1] : 1;
    alpha = float_of(call, "alpha", 1);
    beta = float_of(call, "beta", 1);
  }
  // fn(element of Y, of A, of B) for every product that is part of Y.
  template <typename Function>
  void for_products(const Function& fn) const {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t l = 0; l < k; ++l) {
          fn(static_cast<size_t>(i * n + j), static_cast<size_t>(i * row_a + l * column_a),
             static_cast<size_t>(l * row_b + j * column_b));
        }
      }
    }
  }
};

void gemm_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Gemm gemm(call);
  Array y = zeros({gemm.m, gemm.n});
  gemm.for_products([&](size_t at_y, size_t at_a, size_t at_b) {
    y.at[at_y] += gemm.alpha * call.inputs[0]->at[at_a] * call.inputs[1]->at[at_b];
  });
  if (const Array* c = input_of(call, 2)) {
    const auto in_c = spread(c->dims, y.dims);
    for (size_t i = 0; i < y.at.size(); ++i) {
      y.at[i] += gemm.beta * c->at[static_cast<size_t>(in_c[i])];
    }
  }
  *outputs = {std::move(y)};
}

void gemm_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                   const std::vector<Array*>& grad_inputs) {
  const Gemm gemm(call);
  gemm.for_products([&](size_t at_y, size_t at_a, size_t at_b) {
    const double g = gemm.alpha * grad.at[at_y];
    if (grad_inputs[0] != nullptr) grad_inputs[0]->at[at_a] += g * call.inputs[1]->at[at_b];
    if (grad_inputs[1] != nullptr) grad_inputs[1]->at[at_b] += g * call.inputs[0]->at[at_a];
  });
  if (grad_inputs.size() < 3 || grad_inputs[2] == nullptr) return;
  const auto in_c = spread(grad_inputs[2]->dims, grad.dims);
  for (size_t i = 0; i < grad.at.size(); ++i) {
    grad_inputs[2]->at[static_cast<size_t>(in_c[i])] += gemm.beta * grad.at[i];
  }
}

// The dimensions that count matrices.
Dims batch_dims(const Dims& dims) { return Dims(dims.begin(), dims.end() - 2); }

// fn(element of Y, of A, of B) for every product that is part of Y = A B.
template <typename Function>
void for_products(const Dims& a, const Dims& b, const Function& fn) {
  const int64_t m = a[a.size() - 2];
  const int64_t k = a.back();
  const int64_t n = b.back();
  const Dims whole = broadcast(batch_dims(a), batch_dims(b));
  const auto in_a = spread(batch_dims(a), whole);
  const auto in_b = spread(batch_dims(b), whole);
  for (size_t matrix = 0; matrix < in_a.size(); ++matrix) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t l = 0; l < k; ++l) {
          fn(static_cast<size_t>((static_cast<int64_t>(matrix) * m + i) * n + j),
             static_cast<size_t>((in_a[matrix] * m + i) * k + l),
             static_cast<size_t>((in_b[matrix] * k + l) * n + j));
        }
      }
    }
  }
}

void mat_mul_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Array& a = *call.inputs[0];
  const Array& b = *call.inputs[1];
  Dims dims = broadcast(batch_dims(a.dims), batch_dims(b.dims));
  dims.push_back(a.dims[a.dims.size() - 2]);
  dims.push_back(b.dims.back());
  Array y = zeros(dims);
  for_products(a.dims, b.dims, [&](size_t at_y, size_t at_a, size_t at_b) {
    y.at[at_y] += a.at[at_a] * b.at[at_b];
  });
  *outputs = {std::move(y)};
}

void mat_mul_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                      const std::vector<Array*>& grad_inputs) {
  const Array& a = *call.inputs[0];
  const Array& b = *call.inputs[1];
  for_products(a.dims, b.dims, [&](size_t at_y, size_t at_a, size_t at_b) {
    if (grad_inputs[0] != nullptr) grad_inputs[0]->at[at_a] += grad.at[at_y] * b.at[at_b];
    if (grad_inputs[1] != nullptr) grad_inputs[1]->at[at_b] += grad.at[at_y] * a.at[at_a];
  });
}

// fn(first element, step, count) for every line along the node's axis.
template <typename Function>
void for_lines(const NodeCall& call, const Function& fn) {
  const Dims& dims = call.inputs[0]->dims;
  const size_t axis = axis_of(int_of(call, "axis", -1), dims.size());
  int64_t step = 1;
  for (size_t i = axis + 1; i < dims.size(); ++i) step *= dims[i];
  const int64_t outer = count_of(dims) / (step * dims[axis]);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t s = 0; s < step; ++s) fn(o * dims[axis] * step + s, step, dims[axis]);
  }
}

// The logarithm of a line's sum of exponentials.
double log_sum(const Array& x, int64_t first, int64_t step, int64_t count) {
  double most = x.at[static_cast<size_t>(first)];
  for (int64_t i = 0; i < count; ++i) {
    most = std::max(most, x.at[static_cast<size_t>(first + i * step)]);
  }
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += std::exp(x.at[static_cast<size_t>(first + i * step)] - most);
  }
  return most + std::log(sum);
}

template <bool kLog>
void softmax_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Array& x = *call.inputs[0];
  Array y = zeros(x.dims);
  for_lines(call, [&](int64_t first, int64_t step, int64_t count) {
    const double norm = log_sum(x, first, step, count);
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(first + i * step);
      y.at[at] = kLog ? x.at[at] - norm : std::exp(x.at[at] - norm);
    }
  });
  *outputs = {std::move(y)};
}

template <bool kLog>
void softmax_backward(const NodeCall& call, const std::vector<Array>& outputs, const Array& grad,
                      const std::vector<Array*>& grad_inputs) {
  if (grad_inputs[0] == nullptr) return;
  const Array& y = outputs[0];
  for_lines(call, [&](int64_t first, int64_t step, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(first + i * step);
      sum += kLog ? grad.at[at] : grad.at[at] * y.at[at];
    }
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(first + i * step);
      grad_inputs[0]->at[at] +=
          kLog ? grad.at[at] - std::exp(y.at[at]) * sum : y.at[at] * (grad.at[at] - sum);
    }
  });
}

// The dimensions of a mean with those of length 1 kept.
Dims kept_dims(const NodeCall& call) {
  Dims dims = call.inputs[0]->dims;
  const Dims axes = ints_of(call, "axes", {});
  if (axes.empty()) return Dims(dims.size(), 1);
  for (const int64_t axis : axes) dims[axis_of(axis, dims.size())] = 1;
  return dims;
}

void mean_forward(const NodeCall& call, std::vector<Array>* outputs) {
  const Array& x = *call.inputs[0];
  Array y = zeros(kept_dims(call));
  const auto in_y = spread(y.dims, x.dims);
  const double count = static_cast<double>(x.at.size()) / static_cast<double>(y.at.size());
  for (size_t i = 0; i < x.at.size(); ++i) y.at[static_cast<size_t>(in_y[i])] += x.at[i] / count;
  if (int_of(call, "keepdims", 1) == 0) {
    const Dims axes = ints_of(call, "axes", {});
    std::vector<bool> gone(x.dims.size(), axes.empty());
    for (const int64_t axis : axes) gone[axis_of(axis, x.dims.size())] = true;
    y.dims.clear();
    for (size_t axis = 0; axis < gone.size(); ++axis) {
      if (!gone[axis]) y.dims.push_back(x.dims[axis]);
    }
  }
  *outputs = {std::move(y)};
}

void mean_backward(const NodeCall& call, const std::vector<Array>&, const Array& grad,
                   const std::vector<Array*>& grad_inputs) {
  if (grad_inputs[0] == nullptr) return;
  Array& dx = *grad_inputs[0];
  const auto in_y = spread(kept_dims(call), dx.dims);
  const double count = static_cast<double>(dx.at.size()) / static_cast<double>(grad.at.size());
  for (size_t i = 0; i < dx.at.size(); ++i) {
    dx.at[i] += grad.at[static_cast<size_t>(in_y[i])] / count;
  }
}

const JudgeOp kOps[] = {
    {"Gemm", gemm_forward, gemm_backward, nullptr},
    {"LogSoftmax", softmax_forward<true>, softmax_backward<true>, nullptr},
    {"MatMul", mat_mul_forward, mat_mul_backward, nullptr},
    {"ReduceMean", mean_forward, mean_backward, nullptr},
    {"Softmax", softmax_forward<false>, softmax_backward<false>, nullptr},
};

}  // namespace

std::span<const JudgeOp> matrix_judges() { return kOps; }

}  // namespace ft::fuzz
