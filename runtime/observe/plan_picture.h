#pragma once

#include <string>

#include "runtime/pipeline/report.h"

namespace ft {

// A plan as lines of text, one for each device: its name, its layers and the time of a batch as a
// bar, memory; then what to expect. Ends with a newline.
std::string plan_picture(const PlanReport& plan);

}  // namespace ft
