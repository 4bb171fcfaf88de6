#pragma once

// The operators as the ONNX pages define them, in float64, by plain loops in the file's own order
// of axes: forward, and backward as the sum over everything an element of an input had part in. No
// code is shared with kernels/, so that an error must be made twice to be missed.

#include <span>
#include <string_view>

#include "tests/graph_fuzz/graph.h"

namespace ft::fuzz {

// Which pass of training, or of evaluation, a call is part of.
struct Moment {
  bool trains = true;
  uint64_t seed = 0;  // of dropout
  int64_t epoch = 0;
  int64_t batch = 0;
  int64_t row_first = 0;
};

struct NodeCall {
  const GraphNode* node = nullptr;
  std::vector<const Array*> inputs;  // null: left out
  Moment moment;
  int opset = 14;
  uint32_t number = 0;  // of the node in the model: names dropout's random numbers
};

struct JudgeOp {
  const char* name;
  // Makes all outputs that the node names.
  void (*forward)(const NodeCall& call, std::vector<Array>* outputs);
  // Adds to the inputs' gradients, zeros at first; null where none is wanted. `grad` is output 0's.
  void (*backward)(const NodeCall& call, const std::vector<Array>& outputs, const Array& grad,
                   const std::vector<Array*>& grad_inputs);
  // How near an input comes to a point where the slope jumps; points that are met exactly do not
  // count, since float32 meets them, too. Null: there is no such point.
  double (*kink)(const NodeCall& call, const std::vector<Array>& outputs);
};

// Null when the judge does not know the operator.
const JudgeOp* find_judge_op(std::string_view name);

std::span<const JudgeOp> elementwise_judges();
std::span<const JudgeOp> map_judges();
std::span<const JudgeOp> matrix_judges();
std::span<const JudgeOp> shape_judges();

// Attributes with ONNX's defaults.
int64_t int_of(const NodeCall& call, const char* name, int64_t fallback);
double float_of(const NodeCall& call, const char* name, double fallback);
Dims ints_of(const NodeCall& call, const char* name, const Dims& fallback);
// Axes counted from the end, too.
size_t axis_of(int64_t axis, size_t rank);
const Array* input_of(const NodeCall& call, size_t index);  // null: left out

}  // namespace ft::fuzz
