#include "kernels/pool_shape.h"

#include "kernels/request.h"

namespace ft {

Result<PoolShape> parse_pool(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 1, 1));
  if (request.output_count > 1)
    return invalid_error(
        "its second output, Indices, is not supported: export without what reads it");
  const Shape& x = request.inputs[0].type.shape;
  FT_ASSIGN_OR_RETURN(const std::vector<int64_t> kernel,
                      request.attributes->get_ints("kernel_shape", {}));
  PoolShape shape;
  FT_ASSIGN_OR_RETURN(shape.window, parse_window(*request.attributes, x, kernel));
  const Window& w = shape.window;
  if (w.dilation_height != 1 || w.dilation_width != 1) {
    return invalid_error("dilated pools are not supported: use dilation=1");
  }
  if (std::max(w.pad_top, w.pad_bottom) >= w.kernel_height ||
      std::max(w.pad_left, w.pad_right) >= w.kernel_width) {
    return invalid_error(
        "padding as wide as the kernel leaves windows without an element: pad less");
  }
  shape.planes = x.dim(0) * x.dim(1);
  return shape;
}

KernelPlan pool_plan(const PoolShape& shape, const OpRequest& request) {
  const Shape& x = request.inputs[0].type.shape;
  KernelPlan plan;
  plan.outputs = {{DType::kFloat32, window_output_shape(shape.window, x, x.dim(0))}};
  plan.flops = static_cast<double>(plan.outputs[0].shape.element_count()) *
               static_cast<double>(shape.window.kernel_area());
  return plan;
}

}  // namespace ft
