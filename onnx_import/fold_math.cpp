// Folds that compute: see fold.h. Integers wrap around on overflow, as ONNX leaves it open; what
// would be undefined in C++ is refused.

#include <algorithm>
#include <cmath>
#include <limits>

#include "onnx_import/fold.h"

namespace ft {
namespace {

// Both operands as they look under the common shape.
struct Operands {
  Shape shape;
  Constant a;
  Constant b;
};

Result<Operands> broadcast_inputs(const FoldRequest& request, size_t first) {
  const Constant& a = *request.input(first);
  const Constant& b = *request.input(first + 1);
  Operands operands;
  if (a.type.dtype != b.type.dtype) return invalid_error("operands of two element types");
  if (!broadcast_shapes(a.type.shape, b.type.shape, &operands.shape)) {
    return invalid_error("shapes %s and %s do not broadcast", to_string(a.type.shape).c_str(),
                         to_string(b.type.shape).c_str());
  }
  FT_ASSIGN_OR_RETURN(operands.shape, checked_fold_shape(operands.shape.dims()));
  const auto expand = [&](const Constant& from) {
    return copy_strided(from, operands.shape, 0,
                        broadcast_strides(from.type.shape, operands.shape));
  };
  operands.a = expand(a);
  operands.b = expand(b);
  return operands;
}

int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }

Result<int64_t> integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0 || exponent > 64) {
    return invalid_error("exponent %lld", static_cast<long long>(exponent));
  }
  uint64_t power = 1;
  for (int64_t i = 0; i < exponent; ++i) power *= static_cast<uint64_t>(base);
  return wrap(power);
}

Result<int64_t> apply_int(const std::string& op, int64_t a, int64_t b) {
  const uint64_t x = static_cast<uint64_t>(a);
  const uint64_t y = static_cast<uint64_t>(b);
  if (op == "Add") return wrap(x + y);
  if (op == "Sub") return wrap(x - y);
  if (op == "Mul") return wrap(x * y);
  if (op == "Max") return std::max(a, b);
  if (op == "Min") return std::min(a, b);
  if (op == "Pow") return integer_power(a, b);
  if (b == 0) return invalid_error("division by zero");
  if (b == -1) return op == "Div" ? wrap(uint64_t{0} - x) : int64_t{0};
  if (op == "Div") return a / b;
  // Mod, with the sign of the divisor.
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Result<float> apply_float(const std::string& op, float a, float b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return a / b;
  if (op == "Max") return std::max(a, b);
  if (op == "Min") return std::min(a, b);
  if (op == "Pow") return std::pow(a, b);
  return std::fmod(a, b);
}

template <typename T>
bool compare(const std::string& op, T a, T b) {
  if (op == "Equal") return a == b;
  if (op == "Less") return a < b;
  if (op == "LessOrEqual") return a <= b;
  if (op == "Greater") return a > b;
  if (op == "GreaterOrEqual") return a >= b;
  if (op == "And") return a != T{0} && b != T{0};
  return a != T{0} || b != T{0};  // Or
}

constexpr int kOnnxFloat = 1;
constexpr int kOnnxInt32 = 6;
constexpr int kOnnxInt64 = 7;
constexpr int kOnnxBool = 9;
constexpr int kOnnxDouble = 11;

Result<int64_t> to_int(float value) {
  if (!(value > -0x1p62F && value < 0x1p62F)) {
    return invalid_error("%g does not fit into an integer", static_cast<double>(value));
  }
  return static_cast<int64_t>(value);
}

}  // namespace

Result<Constant> fold_binary(const FoldRequest& request) {
  const std::string& op = request.node->op;
  if (request.inputs.size() != 2) return invalid_error("only two operands are folded");
  FT_ASSIGN_OR_RETURN(const Operands operands, broadcast_inputs(request, 0));
  const size_t count = static_cast<size_t>(operands.shape.element_count());
  if (operands.a.is_float()) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) {
      FT_ASSIGN_OR_RETURN(values[i],
                          apply_float(op, operands.a.floats()[i], operands.b.floats()[i]));
    }
    return make_constant(operands.shape, values);
  }
  std::vector<int64_t> values(count);
  for (size_t i = 0; i < count; ++i) {
    FT_ASSIGN_OR_RETURN(values[i], apply_int(op, operands.a.ints()[i], operands.b.ints()[i]));
  }
  return make_constant(operands.shape, values);
}

Result<Constant> fold_compare(const FoldRequest& request) {
  const std::string& op = request.node->op;
  FT_ASSIGN_OR_RETURN(const Operands operands, broadcast_inputs(request, 0));
  std::vector<int64_t> values(static_cast<size_t>(operands.shape.element_count()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = operands.a.is_float() ? compare(op, operands.a.floats()[i], operands.b.floats()[i])
                                      : compare(op, operands.a.ints()[i], operands.b.ints()[i]);
  }
  return make_constant(operands.shape, values);
}

Result<Constant> fold_unary(const FoldRequest& request) {
  const std::string& op = request.node->op;
  const Constant& input = *request.input(0);
  if (!input.is_float()) {
    if (op == "Sqrt") return invalid_error("Sqrt of integers");
    std::vector<int64_t> values(input.ints().begin(), input.ints().end());
    for (int64_t& value : values) {
      const int64_t negative = wrap(uint64_t{0} - static_cast<uint64_t>(value));
      if (op == "Neg" || (op == "Abs" && value < 0)) value = negative;
      if (op == "Not") value = value == 0;
    }
    return make_constant(input.type.shape, values);
  }
  std::vector<float> values(input.floats().begin(), input.floats().end());
  for (float& value : values) {
    if (op == "Neg") value = -value;
    if (op == "Abs") value = std::fabs(value);
    if (op == "Floor") value = std::floor(value);
    if (op == "Ceil") value = std::ceil(value);
    if (op == "Sqrt") value = std::sqrt(value);
  }
  if (op == "Not") return invalid_error("Not of floats");
  return make_constant(input.type.shape, values);
}

Result<Constant> fold_cast(const FoldRequest& request) {
  const Constant& input = *request.input(0);
  const int64_t to = request.attribute("to", 0);
  const size_t count = static_cast<size_t>(input.element_count());
  if (to == kOnnxFloat || to == kOnnxDouble) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) {
      values[i] = input.is_float() ? input.floats()[i] : static_cast<float>(input.ints()[i]);
    }
    return make_constant(input.type.shape, values);
  }
  if (to != kOnnxInt32 && to != kOnnxInt64 && to != kOnnxBool) {
    return invalid_error("a cast to ONNX data type %lld", static_cast<long long>(to));
  }
  std::vector<int64_t> values(count);
  for (size_t i = 0; i < count; ++i) {
    if (to == kOnnxBool) {
      values[i] = input.is_float() ? input.floats()[i] != 0.0F : input.ints()[i] != 0;
    } else if (input.is_float()) {
      FT_ASSIGN_OR_RETURN(values[i], to_int(input.floats()[i]));
    } else {
      values[i] = input.ints()[i];
    }
  }
  return make_constant(input.type.shape, values);
}

Result<Constant> fold_where(const FoldRequest& request) {
  FT_ASSIGN_OR_RETURN(const auto condition, request.ints(0));
  static_cast<void>(condition);
  FT_ASSIGN_OR_RETURN(const Operands operands, broadcast_inputs(request, 1));
  const Constant& mask = *request.input(0);
  Shape shape;
  if (!broadcast_shapes(operands.shape, mask.type.shape, &shape)) {
    return invalid_error("the condition's shape does not broadcast");
  }
  FT_ASSIGN_OR_RETURN(shape, checked_fold_shape(shape.dims()));
  const auto expand = [&](const Constant& from) {
    return copy_strided(from, shape, 0, broadcast_strides(from.type.shape, shape));
  };
  const Constant picks = expand(mask);
  const Constant a = expand(operands.a);
  const Constant b = expand(operands.b);
  const size_t count = static_cast<size_t>(shape.element_count());
  if (a.is_float()) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) {
      values[i] = picks.ints()[i] != 0 ? a.floats()[i] : b.floats()[i];
    }
    return make_constant(shape, values);
  }
  std::vector<int64_t> values(count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = picks.ints()[i] != 0 ? a.ints()[i] : b.ints()[i];
  }
  return make_constant(shape, values);
}

// Over all elements of an integer vector or scalar, which is what shapes need.
Result<Constant> fold_reduce(const FoldRequest& request) {
  const std::string& op = request.node->op;
  FT_ASSIGN_OR_RETURN(const auto values, request.ints(0));
  const int rank = request.input(0)->type.shape.rank();
  if (rank > 1 || values.empty()) return invalid_error("only vectors are folded");
  uint64_t sum = 0;
  uint64_t product = 1;
  for (const int64_t value : values) {
    sum += static_cast<uint64_t>(value);
    product *= static_cast<uint64_t>(value);
  }
  int64_t result = wrap(op == "ReduceSum" ? sum : product);
  if (op == "ReduceMax") result = *std::max_element(values.begin(), values.end());
  if (op == "ReduceMin") result = *std::min_element(values.begin(), values.end());
  const bool keeps = rank == 1 && request.attribute("keepdims", 1) != 0;
  return make_constant(keeps ? Shape{1} : Shape{}, std::span<const int64_t>(&result, 1));
}

}  // namespace ft
