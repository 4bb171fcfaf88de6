#pragma once

// What stands for class labels in a file: whole numbers of any type, one a sample, or one-hot rows.
// Whatever else there is, is refused with the row that shows it.

#include <string>

#include "runtime/base/status.h"
#include "runtime/data/number_array.h"

namespace ft {

// More classes than this are a mistake in the labels.
constexpr int64_t kClassesMax = 1 << 20;

struct Labels {
  NumberArray numbers;  // [N], of an integer type, each from 0 to kClassesMax - 1
  std::string note;     // what was taken for what; empty where integers [N] say it themselves
};

// `path` is for messages. Errors: kInvalid, naming the file, the row (from 0, as numpy counts), the
// value and the remedy.
Result<Labels> read_labels(const std::string& path, const NumberArray& targets);

}  // namespace ft
