#pragma once

// The message for the person whose model fits no choice of devices.

#include "partition/planner.h"

namespace ft {

// What the model needs, what each device has, who cannot reach whom, and what to do.
Status no_fit_error(const PlanRequest& request);

}  // namespace ft
