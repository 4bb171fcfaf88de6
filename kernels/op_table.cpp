#include "kernels/ops.h"

namespace ft {
namespace {

// One line per op, in alphabetical order: name, opsets, layout, gradient, maker. An op that is not
// here is refused by the importer.
constexpr Op kOps[] = {
    // {"Relu", 13, 17, LayoutRule::kElementwise, true, make_relu},
};

}  // namespace

std::span<const Op> op_table() { return kOps; }

const Op* find_op(std::string_view name) {
  for (const Op& op : kOps) {
    if (name == op.name) return &op;
  }
  return nullptr;
}

}  // namespace ft
