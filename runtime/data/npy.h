#pragma once

// NumPy's .npy files, versions 1.0 and 2.0
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): little-endian, C order,
// of the types in NumberType.

#include <string>

#include "runtime/base/status.h"
#include "runtime/data/number_array.h"

namespace ft {

// Errors: kInvalid: unreadable, not .npy, a type or order that is not read (with the numpy call
// that converts it), an empty or zero-dimensional array, or a shape that contradicts the length.
Result<NumberArray> read_npy(const std::string& path);

}  // namespace ft
