#include "kernels/window.h"

#include <algorithm>

#include "kernels/request.h"

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

enum class AutoPad : uint8_t { kNotSet, kValid, kSameUpper, kSameLower };

Result<AutoPad> read_auto_pad(const Attributes& attributes) {
  FT_ASSIGN_OR_RETURN(const std::string name, attributes.get_string("auto_pad", "NOTSET"));
  if (name == "NOTSET" || name.empty()) return AutoPad::kNotSet;
  if (name == "VALID") return AutoPad::kValid;
  if (name == "SAME_UPPER") return AutoPad::kSameUpper;
  if (name == "SAME_LOWER") return AutoPad::kSameLower;
  return invalid_error("auto_pad=%s does not exist; it is NOTSET, VALID, SAME_UPPER or SAME_LOWER",
                       name.c_str());
}

// One spatial dimension.
struct Extent {
  int64_t input, kernel, stride, dilation;
  int64_t pad_before, pad_after;

  int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

// SAME: as many windows as strides fit into the input, the padding that they need divided evenly;
// of an odd amount the larger half goes to the end (UPPER) or to the start (LOWER).
void set_auto_pads(AutoPad mode, Extent* e) {
  if (mode == AutoPad::kNotSet) return;
  e->pad_before = e->pad_after = 0;
  if (mode == AutoPad::kValid) return;
  const int64_t count = (e->input + e->stride - 1) / e->stride;
  const int64_t total = std::max<int64_t>(0, (count - 1) * e->stride + e->reach() - e->input);
  const int64_t half = total / 2;
  e->pad_before = mode == AutoPad::kSameUpper ? half : total - half;
  e->pad_after = total - e->pad_before;
}

Result<int64_t> output_extent(const Extent& e, bool ceil_mode) {
  const int64_t room = e.input + e.pad_before + e.pad_after - e.reach();
  if (room < 0) {
    return invalid_error(
        "a kernel that spans %lld does not fit an input of %lld with a padding of %lld and %lld: "
        "the samples are too small for this model, or its padding",
        static_cast<long long>(e.reach()), static_cast<long long>(e.input),
        static_cast<long long>(e.pad_before), static_cast<long long>(e.pad_after));
  }
  int64_t count = room / e.stride + 1;
  if (ceil_mode && room % e.stride != 0 && count * e.stride < e.input + e.pad_before) ++count;
  return count;
}

// Of one or two dimensions, the last one along a row.
Window window_of(std::span<const Extent> extents, std::span<const int64_t> outputs) {
  Window w;
  const Extent& x = extents.back();
  w.input_width = x.input;
  w.output_width = outputs.back();
  w.kernel_width = x.kernel;
  w.stride_width = x.stride;
  w.dilation_width = x.dilation;
  w.pad_left = x.pad_before;
  w.pad_right = x.pad_after;
  if (extents.size() < 2) return w;
  const Extent& y = extents.front();
  w.input_height = y.input;
  w.output_height = outputs.front();
  w.kernel_height = y.kernel;
  w.stride_height = y.stride;
  w.dilation_height = y.dilation;
  w.pad_top = y.pad_before;
  w.pad_bottom = y.pad_after;
  return w;
}

}  // namespace

Result<Window> parse_window(const Attributes& attributes, const Shape& input,
                            std::span<const int64_t> kernel) {
  const size_t spatial = kernel.size();
  if (spatial < 1 || spatial > 2 || input.rank() != static_cast<int>(spatial) + 2) {
    return invalid_error(
        "input %s with a kernel of %zu dimensions; windows of 1 and 2 dimensions are supported",
        map_text(input).c_str(), spatial);
  }
  for (const int64_t extent : kernel) {
    if (extent < 1 || extent > kWindowParameterMax) {
      return invalid_error("the kernel has an extent of %lld", static_cast<long long>(extent));
    }
  }
  FT_ASSIGN_OR_RETURN(const AutoPad auto_pad, read_auto_pad(attributes));
  std::vector<int64_t> pads(2 * spatial, 0);
  if (auto_pad == AutoPad::kNotSet) {
    FT_ASSIGN_OR_RETURN(pads, values_of(attributes, "pads", 2 * spatial, 0));
  }
  FT_ASSIGN_OR_RETURN(const std::vector<int64_t> strides,
                      values_of(attributes, "strides", spatial, 1));
  FT_ASSIGN_OR_RETURN(const std::vector<int64_t> dilations,
                      values_of(attributes, "dilations", spatial, 1));
  FT_ASSIGN_OR_RETURN(const int64_t ceil_mode, attributes.get_int("ceil_mode", 0));

  const bool is_same = auto_pad == AutoPad::kSameUpper || auto_pad == AutoPad::kSameLower;
  const bool ceils = ceil_mode != 0 && !is_same;
  std::vector<Extent> extents;
  std::vector<int64_t> outputs;
  for (size_t i = 0; i < spatial; ++i) {
    Extent e = {.input = input.dim(static_cast<int>(i) + 2),
                .kernel = kernel[i],
                .stride = strides[i],
                .dilation = dilations[i],
                .pad_before = pads[i],
                .pad_after = pads[spatial + i]};
    set_auto_pads(auto_pad, &e);
    FT_ASSIGN_OR_RETURN(const int64_t output, output_extent(e, ceils));
    extents.push_back(e);
    outputs.push_back(output);
  }
  return window_of(extents, outputs);
}

Shape window_output_shape(const Window& window, const Shape& input, int64_t channels) {
  if (input.rank() == 3) return {channels, input.dim(1), window.output_width};
  return {channels, input.dim(1), window.output_height, window.output_width};
}

}  // namespace ft
