#pragma once

// Random cuts and options of runs.

#include "tests/graph_fuzz/dice.h"
#include "tests/graph_fuzz/pipeline.h"

namespace ft::fuzz {

// One to five ranges, each with options of its own.
RunPlan draw_sync_plan(Dice& dice, int layers, int micro_batches);
// One to four stages, one station each, with plain options.
RunPlan draw_async_plan(Dice& dice, int layers);
// The same stages, each as one or more stations, with random options.
RunPlan cut_stages(Dice& dice, const RunPlan& plan);

}  // namespace ft::fuzz
