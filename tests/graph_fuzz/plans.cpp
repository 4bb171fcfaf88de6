#include "tests/graph_fuzz/plans.h"

#include <algorithm>
#include <set>

namespace ft::fuzz {
namespace {

std::vector<LayerRange> draw_ranges(Dice& dice, LayerRange whole, int64_t most) {
  const int64_t pieces = dice.between(1, std::min<int64_t>(most, whole.count()));
  std::set<int> cuts = {whole.first, whole.last};
  while (static_cast<int64_t>(cuts.size()) <= pieces) {
    cuts.insert(static_cast<int>(dice.between(whole.first, whole.last)));
  }
  std::vector<LayerRange> ranges;
  for (auto cut = cuts.begin(); std::next(cut) != cuts.end(); ++cut) {
    ranges.push_back({*cut, *std::next(cut)});
  }
  return ranges;
}

void draw_options(Dice& dice, bool one_in_flight, Station* station) {
  station->defers = dice.chance(40);
  station->one_in_flight = one_in_flight && dice.chance(60);
  station->steps_by_layer = dice.chance(50);  // of effect in a first range only
}

}  // namespace

RunPlan draw_sync_plan(Dice& dice, int layers, int micro_batches) {
  RunPlan plan;
  plan.micro_batches = micro_batches;
  plan.fills_first = micro_batches > 1 && dice.chance(50);
  plan.threads = static_cast<int>(dice.between(1, 3));
  for (const LayerRange& range : draw_ranges(dice, {0, layers}, 5)) {
    Station station = {.range = range};
    draw_options(dice, !plan.fills_first, &station);
    plan.stations.push_back(station);
  }
  return plan;
}

RunPlan draw_async_plan(Dice& dice, int layers) {
  RunPlan plan;
  plan.is_async = true;
  if (dice.chance(40)) plan.aggregate_every = static_cast<int>(dice.between(1, 3));
  for (const LayerRange& range : draw_ranges(dice, {0, layers}, 4)) {
    plan.stations.push_back({.range = range, .stage = static_cast<int>(plan.stations.size())});
  }
  plan.stages = static_cast<int>(plan.stations.size());
  return plan;
}

RunPlan cut_stages(Dice& dice, const RunPlan& plan) {
  RunPlan pieces = plan;
  pieces.threads = static_cast<int>(dice.between(1, 3));
  pieces.stations.clear();
  for (const Station& whole : plan.stations) {
    for (const LayerRange& range : draw_ranges(dice, whole.range, 3)) {
      Station station = {.range = range, .stage = whole.stage};
      draw_options(dice, whole.stage == plan.stages - 1, &station);
      pieces.stations.push_back(station);
    }
  }
  return pieces;
}

}  // namespace ft::fuzz
