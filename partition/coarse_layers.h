#pragma once

// A request with fewer layers, for searches that would take too long on all of them. Neighbouring
// layers become one: what is left of the cuts are the cheapest ones, about equally far apart in
// work. A plan of the coarse request is one of the whole request, too.

#include "partition/planner.h"

namespace ft {

// At most `layers_max` layers. The links, the devices' memories and names stay.
PlanRequest coarse_layers(const PlanRequest& request, int layers_max);

}  // namespace ft
