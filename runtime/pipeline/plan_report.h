#pragma once

#include "partition/planner.h"
#include "runtime/pipeline/report.h"

namespace ft {

// A plan in words for people. `batch_size`: samples.
PlanReport report_of(const PlanRequest& request, const Plan& plan, int64_t batch_size);

}  // namespace ft
