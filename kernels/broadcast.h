#pragma once

// The frame of y = f(a, b), element by element with numpy's broadcasting. An op's file gives loops
// over one row; here are the rows, and the sums of gradients over the axes along which an operand
// was repeated.
// https://onnx.ai/onnx/repo-docs/Broadcasting.html

#include "kernels/op.h"

namespace ft {

// `count` elements of y. An operand that does not vary is one value for all of them.
struct BinaryRow {
  const float* a = nullptr;  // null in backward unless the formula reads it
  const float* b = nullptr;
  bool a_varies = true;
  bool b_varies = true;
  int64_t count = 0;
};

// Which operands a gradient reads.
constexpr uint32_t kReadsA = 1;
constexpr uint32_t kReadsB = 2;

// All loops may run in place: y over a, grad_a over grad_y.
struct BinaryFormula {
  void (*forward)(const BinaryRow& row, float* y) = nullptr;
  // The terms of a gradient, before repeated axes are summed.
  void (*backward_a)(const BinaryRow& row, const float* grad_y, float* grad_a) = nullptr;
  void (*backward_b)(const BinaryRow& row, const float* grad_y, float* grad_b) = nullptr;
  uint32_t backward_a_reads = 0;
  uint32_t backward_b_reads = 0;
};

// Errors: kInvalid, naming both shapes, when they do not broadcast.
Result<Shape> broadcast_shape(const Shape& a, const Shape& b);

Result<KernelPlan> make_binary(const OpRequest& request, const BinaryFormula& formula);

}  // namespace ft
