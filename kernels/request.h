#pragma once

// What most make functions read from an OpRequest, with one wording for what does not fit.

#include "kernels/op.h"

namespace ft {

// Number of inputs within [count_min, count_max], the first count_min of them present.
Status check_input_count(const OpRequest& request, int count_min, int count_max);

// As above, and every input that is present is float32.
Status check_float_inputs(const OpRequest& request, int count_min, int count_max);

// A feature map's shape as the file has it: N, C, ... where the physical one is C, N, ...
std::string map_text(const Shape& physical);

bool has_input(const OpRequest& request, int index);

// The one float32 value of an optional input, or the fallback. `name` is ONNX's ("min").
// Errors: kInvalid when it is not a constant.
Result<float> constant_float(const OpRequest& request, int index, const char* name, float fallback);

// The values of an int64 vector. Errors: kInvalid when absent or not a constant.
Result<std::vector<int64_t>> constant_ints(const OpRequest& request, int index, const char* name);

// A bool (int64 or float32 by now), or the fallback.
Result<bool> constant_flag(const OpRequest& request, int index, const char* name, bool fallback);

// ONNX counts negative axes from the end.
Result<int> normalise_axis(int64_t axis, int rank);

// `axes` as flags by axis. Errors: kInvalid for one that does not exist or stands twice.
Result<std::vector<bool>> axis_flags(const std::vector<int64_t>& axes, int rank);

// A plan without a kernel: output 0 is input 0 as `shape`. Errors: kInvalid when the element
// counts differ.
Result<KernelPlan> plan_view(const OpRequest& request, const Shape& shape);

}  // namespace ft
