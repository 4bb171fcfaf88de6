#pragma once

// IDX files, the format of MNIST and its successors (http://yann.lecun.com/exdb/mnist): two zero
// bytes, a type byte, the rank, one big-endian 32-bit size per dimension, the numbers. Plain or
// gzip-compressed; unsigned bytes only.

#include <string>

#include "runtime/base/status.h"
#include "runtime/data/number_array.h"

namespace ft {

// Errors: kInvalid: unreadable, not IDX, another type, an empty dimension, or sizes that contradict
// the file's length.
Result<NumberArray> read_idx(const std::string& path);

}  // namespace ft
