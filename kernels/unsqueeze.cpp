// Unsqueeze: y is x with dimensions of 1 inserted, so that they stand at `axes` of y; dx = dy.
// No kernel runs.
// https://onnx.ai/onnx/operators/onnx__Unsqueeze.html

#include "kernels/ops.h"
#include "kernels/request.h"

namespace ft {

Result<KernelPlan> make_unsqueeze(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_input_count(request, 2, 2));
  const Shape& shape = request.inputs[0].type.shape;
  FT_ASSIGN_OR_RETURN(const auto axes, constant_ints(request, 1, "axes"));
  if (axes.size() > static_cast<size_t>(kRankMax - shape.rank())) {
    return invalid_error("%s and %zu more dimensions are more than %d", to_string(shape).c_str(),
                         axes.size(), kRankMax);
  }
  const int rank = shape.rank() + static_cast<int>(axes.size());
  FT_ASSIGN_OR_RETURN(const std::vector<bool> inserted, axis_flags(axes, rank));
  std::vector<int64_t> dims;
  int next = 0;
  for (const bool is_new : inserted) dims.push_back(is_new ? 1 : shape.dim(next++));
  return plan_view(request, Shape(dims));
}

}  // namespace ft
