#pragma once

// What a kernel test says about one call of an operator: its name, attributes and inputs. Random
// inputs are drawn from the case's seed, so a failure that prints the seed replays.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/op.h"

namespace ft {

enum class InputRole : uint8_t {
  kVaried,    // random float32; its gradient is wanted and checked
  kFixed,     // float32 known only at run time, without a gradient (running statistics, say)
  kConstant,  // known at import
  kAbsent,
};

struct CaseInput {
  InputRole role = InputRole::kVaried;
  TensorType type;
  float low = -1;  // random values are uniform in [low, high)
  float high = 1;
  std::vector<float> floats;  // given values; empty: random
  std::vector<int64_t> ints;
};

CaseInput varied(const Shape& shape);
CaseInput varied(const Shape& shape, float low, float high);
CaseInput varied(const Shape& shape, std::vector<float> values);
CaseInput fixed(const Shape& shape, std::vector<float> values);
CaseInput constant(const Shape& shape, std::vector<float> values);
CaseInput constant(std::vector<int64_t> values);  // a vector of int64
CaseInput constant_scalar(float value);
CaseInput constant_flag(bool value);  // a bool scalar: the importer makes it an int64
CaseInput absent();

struct OpCase {
  std::string op;
  std::vector<CaseInput> inputs = {};
  Attributes attributes = {};
  int output_count = 1;
  int opset = 14;
  uint32_t node = 0;
  StepId step = {};
  uint64_t seed = 1;

  OpCase& with(const std::string& name, Attribute value) {
    attributes.set(name, std::move(value));
    return *this;
  }
};

// Uniform in [low, high); a pure function of its arguments.
std::vector<float> random_floats(uint64_t seed, uint32_t stream, int64_t count, float low,
                                 float high);

}  // namespace ft
