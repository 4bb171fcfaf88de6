#pragma once

// The layout rule (kernels/tensor.h): feature maps are stored CNHW, with axes 0 and 1 of the file's
// shape exchanged. Here is decided, node by node, in which order each input is wanted; builder.h
// makes it so. Decisions look at ranks and at who made a value, never at the batch size.

#include <span>
#include <vector>

#include "kernels/op.h"

namespace ft {

enum class Order : uint8_t {
  kLogical,  // as in the file: N, C, ...
  kSwapped,  // C, N, ...
};

struct LayoutInput {
  bool is_present = false;
  bool is_fixed = false;    // a constant or a parameter: it has no order of its own
  bool is_swapped = false;  // made in CNHW order
  // A parameter that several nodes read keeps the file's shape: its bytes cannot be taken for
  // another one's.
  bool is_shared = false;
  Shape shape;  // logical
};

struct LayoutChoice {
  std::vector<Order> inputs;
  int rank = 0;  // of the operands that are brought into one order
  Order first_output = Order::kLogical;
  Order other_outputs = Order::kLogical;
};

LayoutChoice choose_layout(const Op& op, std::span<const LayoutInput> inputs);

// Axes 0 and 1 exchanged. REQUIRES: rank >= 2.
Shape swap_first_axes(const Shape& shape);

// How a constant or parameter of `shape` looks beside CNHW operands of `rank`: {C, 1, 1} and
// {1, C, 1, 1} become {C, 1, 1, 1}; dimensions that only meet the last axes stay.
Shape swapped_operand_shape(const Shape& shape, int rank);

// True when the elements have the same order under the swapped shape.
bool keeps_bytes(const Shape& shape, int rank);

// Rewrites the attribute `axis` of a kAxis op whose operands of `rank` are swapped.
// Errors: kInvalid when it is no axis.
Status swap_axis(const Op& op, int rank, Attributes* attributes);

}  // namespace ft
