#pragma once

// Requests for the planner's tests, and the best plan by trying all of them. The costs here follow
// the comment at the top of planner.h word by word and share no code with the planner.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "partition/planner.h"

namespace ft::test {

// Layers of 1000 us each on a device of speed 1, links that cost nothing.
PlanRequest equal_layers(int layers, const std::vector<double>& speeds);

// What crosses a link takes this long, whatever is sent; both directions, all links.
void set_links(PlanRequest* request, const LinkCost& link);
void set_cuts(PlanRequest* request, const CutSize& cut);  // but for the model's input

struct CaseSize {
  int devices_max = 4;
  int layers_max = 7;
  bool limits = true;  // memories that may be too small, pairs that cannot reach each other
};

// Drawn from `seed`: schedule, sizes, layer times of their own for each device, links, limits.
PlanRequest random_request(uint64_t seed, const CaseSize& size);

// Exactly so large, nothing limited: for measurements.
PlanRequest large_request(uint64_t seed, int devices, int layers, bool sync);

// Device i of the result is device order[i] of the request.
PlanRequest permuted(const PlanRequest& request, const std::vector<int>& order);

double cost_by_definition(const PlanRequest& request, const std::vector<int>& devices,
                          const std::vector<LayerRange>& ranges);
bool allowed(const PlanRequest& request, const std::vector<int>& devices,
             const std::vector<LayerRange>& ranges);

// The least cost of all allowed plans by number of stages (from 1 on; infinite: none).
std::vector<double> least_costs(const PlanRequest& request);

// "0:0-3 2:3-7"
std::string text_of(const Plan& plan);

}  // namespace ft::test
