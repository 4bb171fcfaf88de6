#pragma once

// A model exported with a fixed batch has it in the targets of its Reshapes: {8, 300} say, or
// {24, 100} where 3 steps are merged with it. For another batch the dimension that holds it is
// another one.

#include <optional>

#include "onnx_import/constant.h"
#include "onnx_import/rows.h"

namespace ft {

struct BatchChange {
  int64_t from = 0;  // the file's
  int64_t to = 0;
};

// `data` is the shape of what is reshaped, bound to the new batch, which is at `place` in it.
// nullopt where the target stays as it is: it does not hold the batch as a number.
std::optional<Constant> rebind_target(const Constant& target, const Shape& data,
                                      const RowPlace& place, const BatchChange& batch);

}  // namespace ft
