#pragma once

// Array: a tensor of the float64 judge, row-major, its dimensions as in the ONNX file (maps are
// N, C, ...). Integers and flags are kept as doubles, too: they are exact there.

#include <cstdint>
#include <vector>

namespace ft::fuzz {

using Dims = std::vector<int64_t>;

struct Array {
  Dims dims;
  std::vector<double> at;
};

int64_t count_of(const Dims& dims);
Array zeros(const Dims& dims);
double largest(const Array& array);  // absolute value; 0 when empty

// numpy's rule. REQUIRES: they broadcast.
Dims broadcast(const Dims& a, const Dims& b);
bool do_broadcast(const Dims& a, const Dims& b);
// By element of `whole`, which element of an operand of `dims` it sees.
std::vector<int64_t> spread(const Dims& dims, const Dims& whole);
// By element of the transposed tensor, which element of one of `dims` it is.
std::vector<int64_t> permuted(const Dims& dims, const Dims& perm);

}  // namespace ft::fuzz
