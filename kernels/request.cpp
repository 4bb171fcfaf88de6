#include "kernels/request.h"

#include <cinttypes>

namespace ft {
namespace {

// Null when the input is left out.
Result<const OpInput*> optional_constant(const OpRequest& request, int index, const char* name) {
  if (!has_input(request, index)) return nullptr;
  const OpInput& input = request.inputs[static_cast<size_t>(index)];
  if (input.constant == nullptr) {
    return invalid_error("input '%s' must be a constant; here it is computed by the model", name);
  }
  return &input;
}

}  // namespace

Status check_input_count(const OpRequest& request, int count_min, int count_max) {
  const int count = static_cast<int>(request.inputs.size());
  if (count < count_min || count > count_max) {
    return count_min == count_max
               ? invalid_error("has %d inputs instead of %d", count, count_min)
               : invalid_error("has %d inputs instead of %d to %d", count, count_min, count_max);
  }
  for (int i = 0; i < count_min; ++i) {
    if (!has_input(request, i)) return invalid_error("input %d is missing", i);
  }
  return {};
}

Status check_float_inputs(const OpRequest& request, int count_min, int count_max) {
  FT_RETURN_IF_ERROR(check_input_count(request, count_min, count_max));
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (request.inputs[i].present && request.inputs[i].type.dtype != DType::kFloat32) {
      return invalid_error("input %zu is not float32", i);
    }
  }
  return {};
}

std::string map_text(const Shape& physical) {
  Shape shape = physical;
  if (shape.rank() >= 3) {
    shape.set_dim(0, physical.dim(1));
    shape.set_dim(1, physical.dim(0));
  }
  return to_string(shape);
}

bool has_input(const OpRequest& request, int index) {
  const size_t i = static_cast<size_t>(index);
  return i < request.inputs.size() && request.inputs[i].present;
}

Result<float> constant_float(const OpRequest& request, int index, const char* name,
                             float fallback) {
  FT_ASSIGN_OR_RETURN(const OpInput* input, optional_constant(request, index, name));
  if (input == nullptr) return fallback;
  if (input->type.dtype != DType::kFloat32 || input->type.shape.element_count() != 1) {
    return invalid_error("input '%s' must be one float32 value", name);
  }
  return *static_cast<const float*>(input->constant);
}

Result<std::vector<int64_t>> constant_ints(const OpRequest& request, int index, const char* name) {
  FT_ASSIGN_OR_RETURN(const OpInput* input, optional_constant(request, index, name));
  if (input == nullptr) return invalid_error("input '%s' is missing", name);
  if (input->type.dtype != DType::kInt64 || input->type.shape.rank() > 1) {
    return invalid_error("input '%s' must be a vector of int64", name);
  }
  const int64_t* first = static_cast<const int64_t*>(input->constant);
  return std::vector<int64_t>(first, first + input->type.shape.element_count());
}

Result<bool> constant_flag(const OpRequest& request, int index, const char* name, bool fallback) {
  FT_ASSIGN_OR_RETURN(const OpInput* input, optional_constant(request, index, name));
  if (input == nullptr) return fallback;
  if (input->type.shape.element_count() != 1) {
    return invalid_error("input '%s' must be one bool", name);
  }
  return input->type.dtype == DType::kInt64 ? *static_cast<const int64_t*>(input->constant) != 0
                                            : *static_cast<const float*>(input->constant) != 0;
}

Result<int> normalise_axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return invalid_error("axis %" PRId64 " does not exist in rank %d", axis, rank);
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Result<std::vector<bool>> axis_flags(const std::vector<int64_t>& axes, int rank) {
  std::vector<bool> flags(static_cast<size_t>(rank), false);
  for (const int64_t given : axes) {
    FT_ASSIGN_OR_RETURN(const int axis, normalise_axis(given, rank));
    if (flags[static_cast<size_t>(axis)]) {
      return invalid_error("axis %" PRId64 " stands twice in 'axes'", given);
    }
    flags[static_cast<size_t>(axis)] = true;
  }
  return flags;
}

Result<KernelPlan> plan_view(const OpRequest& request, const Shape& shape) {
  const TensorType& input = request.inputs[0].type;
  if (!is_sane(shape) || shape.element_count() != input.shape.element_count()) {
    return invalid_error("%s has %" PRId64 " elements, but %s is asked for",
                         to_string(input.shape).c_str(), input.shape.element_count(),
                         to_string(shape).c_str());
  }
  KernelPlan plan;
  plan.outputs = {{input.dtype, shape}};
  plan.is_view = true;
  return plan;
}

}  // namespace ft
