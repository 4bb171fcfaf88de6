#include "kernels/window.h"

#include <algorithm>

namespace ft {
namespace {

// Far above any window of a model, and small enough that sums and products cannot overflow.
constexpr int64_t kWindowParameterMax = 1 << 20;

// Attribute `name` with `count` values in [least, kWindowParameterMax].
Result<std::vector<int64_t>> values_of(const Attributes& attributes, const char* name, size_t count,
                                       int64_t least) {
  FT_ASSIGN_OR_RETURN(std::vector<int64_t> values,
                      attributes.get_ints(name, std::vector<int64_t>(count, least)));
  if (values.size() != count) {
    return invalid_error("%s has %zu values where the input asks for %zu", name, values.size(),
                         count);
  }
  for (const int64_t value : values) {
    if (value < least || value > kWindowParameterMax) {
      return invalid_error("%s holds %lld, which is not between %lld and %lld", name,
                           static_cast<long long>(value), static_cast<long long>(least),
                           static_cast<long long>(kWindowParameterMax));
    }
  }
  return values;
}

struct Extent {
  int64_t input, kernel, stride, dilation, pad_before, pad_after;
};

Result<int64_t> output_extent(const Extent& e, bool ceil_mode) {
  const int64_t reach = (e.kernel - 1) * e.dilation + 1;
  const int64_t room = e.input + e.pad_before + e.pad_after - reach;
  if (room < 0) {
    return invalid_error("a kernel that spans %lld does not fit an input of %lld with padding",
                         static_cast<long long>(reach), static_cast<long long>(e.input));
  }
  int64_t count = room / e.stride + 1;
  if (ceil_mode && room % e.stride != 0 && count * e.stride < e.input + e.pad_before) ++count;
  return count;
}

}  // namespace

Result<Window> parse_window(const Attributes& attributes, const Shape& input,
                            std::span<const int64_t> kernel) {
  const size_t spatial = kernel.size();
  if (spatial < 1 || spatial > 2 || input.rank() != static_cast<int>(spatial) + 2) {
    return invalid_error("input %s with a kernel of %zu dimensions; 1-D and 2-D windows exist here",
                         to_string(input).c_str(), spatial);
  }
  for (const int64_t extent : kernel) {
    if (extent < 1 || extent > kWindowParameterMax) {
      return invalid_error("the kernel has an extent of %lld", static_cast<long long>(extent));
    }
  }
  FT_ASSIGN_OR_RETURN(const std::string auto_pad, attributes.get_string("auto_pad", "NOTSET"));
  if (auto_pad != "NOTSET" && auto_pad != "VALID") {
    return invalid_error("auto_pad=%s has no gradient here; export with explicit pads",
                         auto_pad.c_str());
  }
  FT_ASSIGN_OR_RETURN(std::vector<int64_t> pads, values_of(attributes, "pads", 2 * spatial, 0));
  if (auto_pad == "VALID") std::fill(pads.begin(), pads.end(), 0);
  FT_ASSIGN_OR_RETURN(const std::vector<int64_t> strides,
                      values_of(attributes, "strides", spatial, 1));
  FT_ASSIGN_OR_RETURN(const std::vector<int64_t> dilations,
                      values_of(attributes, "dilations", spatial, 1));
  FT_ASSIGN_OR_RETURN(const int64_t ceil_mode, attributes.get_int("ceil_mode", 0));

  Window w;
  const size_t last = spatial - 1;
  w.input_width = input.dim(input.rank() - 1);
  w.kernel_width = kernel[last];
  w.stride_width = strides[last];
  w.dilation_width = dilations[last];
  w.pad_left = pads[last];
  w.pad_right = pads[spatial + last];
  if (spatial == 2) {
    w.input_height = input.dim(2);
    w.kernel_height = kernel[0];
    w.stride_height = strides[0];
    w.dilation_height = dilations[0];
    w.pad_top = pads[0];
    w.pad_bottom = pads[2];
  }
  FT_ASSIGN_OR_RETURN(w.output_height,
                      output_extent({w.input_height, w.kernel_height, w.stride_height,
                                     w.dilation_height, w.pad_top, w.pad_bottom},
                                    ceil_mode != 0));
  FT_ASSIGN_OR_RETURN(w.output_width, output_extent({w.input_width, w.kernel_width, w.stride_width,
                                                     w.dilation_width, w.pad_left, w.pad_right},
                                                    ceil_mode != 0));
  return w;
}

Shape window_output_shape(const Window& window, const Shape& input, int64_t channels) {
  if (input.rank() == 3) return {channels, input.dim(1), window.output_width};
  return {channels, input.dim(1), window.output_height, window.output_width};
}

}  // namespace ft
