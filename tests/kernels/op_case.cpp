#include "tests/kernels/op_case.h"

#include "runtime/base/random.h"

namespace ft {

CaseInput varied(const Shape& shape) {
  CaseInput input;
  input.type = {DType::kFloat32, shape};
  return input;
}

CaseInput varied(const Shape& shape, float low, float high) {
  CaseInput input = varied(shape);
  input.low = low;
  input.high = high;
  return input;
}

CaseInput varied(const Shape& shape, std::vector<float> values) {
  CaseInput input = varied(shape);
  FT_CHECK(static_cast<int64_t>(values.size()) == shape.element_count());
  input.floats = std::move(values);
  return input;
}

CaseInput fixed(const Shape& shape, std::vector<float> values) {
  CaseInput input = varied(shape, std::move(values));
  input.role = InputRole::kFixed;
  return input;
}

CaseInput constant(const Shape& shape, std::vector<float> values) {
  CaseInput input = varied(shape, std::move(values));
  input.role = InputRole::kConstant;
  return input;
}

CaseInput constant(std::vector<int64_t> values) {
  CaseInput input;
  input.role = InputRole::kConstant;
  input.type = {DType::kInt64, {static_cast<int64_t>(values.size())}};
  input.ints = std::move(values);
  return input;
}

CaseInput constant_scalar(float value) { return constant(Shape{}, std::vector<float>{value}); }

CaseInput constant_flag(bool value) {
  CaseInput input = constant(std::vector<int64_t>{value ? 1 : 0});
  input.type.shape = Shape{};
  return input;
}

CaseInput absent() {
  CaseInput input;
  input.role = InputRole::kAbsent;
  return input;
}

std::vector<float> random_floats(uint64_t seed, uint32_t stream, int64_t count, float low,
                                 float high) {
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto block =
        random_block({seed, RandomPurpose::kSynthetic, stream}, 0, static_cast<uint64_t>(i));
    values[static_cast<size_t>(i)] = low + (high - low) * uniform_float(block[0]);
  }
  return values;
}

}  // namespace ft
