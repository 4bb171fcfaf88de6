#pragma once

// The planner: which devices run which layers, in which order, so that a batch takes least time.
// Pure and deterministic; times are microseconds (double), sizes bytes. It is exact, to within
// kPlanTolerance, up to kExactDevices devices and kExactLayers layers; beyond that see planner.cpp.
//
// The model of a pipeline of S stages (DESIGN 3). A micro-batch costs stage s c_s of compute (its
// layers, forward and backward, what the messages at its two cuts cost its CPU, and what it loses
// to pauses), and each cut f of forward and b of backward transfer; compute and transfers overlap,
// and both directions of a link are independent.
//   async: one batch in every `period`, the greatest of
//     - c_s of each stage, f and b of each cut;
//     - (c_s + f_s + b_s + c_{s+1} + ... + c_{S-1}) / (S - s) for each s: a stage has at most S - s
//       batches between forward and backward, so each must be back within S - s periods.
//   sync: (M - 1) * greatest of all c_s, f and b, plus the sum of all c_s, f and b: M micro-batches
//     one after the other through the slowest place, filling and emptying the rest.
// The cut before the first layer is central's input to the first stage: it costs transfer when the
// first stage is not central (the two must reach each other), and is not part of any (S - s) bound.
// Memory is counted with S - s micro-batches in flight at stage s, in sync, too.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/layer_range.h"
#include "runtime/base/status.h"

namespace ft {

constexpr int kExactDevices = 8;
constexpr int kExactLayers = 128;
constexpr double kPlanTolerance = 1e-3;  // relative

struct LayerSize {
  int64_t state_bytes = 0;      // one version: parameters, optimizer state, running statistics
  int64_t parameter_bytes = 0;  // of which parameters
  int64_t stash_bytes = 0;      // what one micro-batch keeps between forward and backward
  int64_t work_bytes = 0;       // scratch; a range needs the greatest of its layers'
};

// What crosses the cut before a layer, per micro-batch.
struct CutSize {
  int64_t forward_bytes = 0;
  int64_t gradient_bytes = 0;
  int64_t bytes() const { return forward_bytes + gradient_bytes; }
};

struct DeviceCost {
  std::string name;
  // Of each layer: forward, backward and its share of the step, for one micro-batch. Finite.
  std::vector<double> layer_us;
  double byte_us = 0;    // what sending or receiving a byte at a cut takes from the layers' time
  double pauses_us = 0;  // what a micro-batch loses to pauses of its CPU
  int64_t memory_bytes = std::numeric_limits<int64_t>::max();  // for ranges, all else deducted
  int64_t process_bytes = 0;                                   // all else
};

// What a process needs besides its range (runtime/exec/memory_plan.h knows how much).
struct ProcessSize {
  int64_t held_bytes = 0;   // while it trains
  int64_t start_bytes = 0;  // in all, before that: with less it cannot even begin
};
inline int64_t memory_for_ranges(int64_t memory_bytes, const ProcessSize& process) {
  if (memory_bytes < process.start_bytes) return 0;
  return std::max<int64_t>(0, memory_bytes - process.held_bytes);
}

// What a range takes at most on a device with `in_flight` micro-batches between forward and
// backward. A pure function; a range is asked for often.
using RangeBytes = std::function<int64_t(const LayerRange& range, int in_flight)>;

struct LinkCost {
  double bytes_per_us = std::numeric_limits<double>::infinity();
  double latency_us = 0;
  double time_us(int64_t bytes) const {
    return bytes == 0 ? 0 : latency_us + static_cast<double>(bytes) / bytes_per_us;
  }
};

// What a micro-batch's messages cost a stage however small they are, in bytes at its cuts: with 0.4
// to 7.6 MB there a stage of MobileNetV2 took 0.9 to 1.2 ms for them, and 0.12 ms more for each MB.
constexpr int64_t kMessagesBytes = 8 << 20;

struct PlanRequest {
  bool sync = false;
  int micro_batches = 1;  // M; 1 for async
  std::vector<LayerSize> layers;
  std::vector<CutSize> cuts;  // before each layer; [0] is the model's input
  RangeBytes range_bytes;     // null: what the layers' sizes come to
  int64_t messages_bytes = kMessagesBytes;
  std::vector<DeviceCost> devices;            // [0] is central
  std::vector<std::vector<LinkCost>> links;   // [from][to]; empty: all of them cost nothing
  std::set<std::pair<int, int>> unreachable;  // (smaller, larger): never neighbours
};

struct PlannedStage {
  int device = 0;
  LayerRange range;
  double compute_us = 0;     // of a micro-batch
  double input_us = 0;       // transfer of its inputs
  double gradient_us = 0;    // transfer of the gradients that it sends back
  int64_t memory_bytes = 0;  // of the whole process
};

struct Plan {
  std::vector<PlannedStage> stages;  // in pipeline order, each with at least one layer
  double batch_us = 0;               // between two batches
  std::string bottleneck;  // "compute of pi4", "link laptop -> pi4", "round trip from pi4"
};

// PlanRequest::range_bytes of it. Without that, for who has nothing but sizes of layers: the state;
// async with several in flight, as many older versions of it; a gradient, two when several
// micro-batches make a batch; the stashes, the scratch, two snapshots for cuts and one for an
// evaluation.
int64_t range_memory_bytes(const PlanRequest& request, const LayerRange& range, int in_flight);

// What a micro-batch sends and receives at both ends of a range.
int64_t bytes_at_cuts(const std::vector<CutSize>& cuts, const LayerRange& range);

// The time of a given plan (devices and ranges in pipeline order), with all the other fields
// filled in. It need not fit the memories.
Plan predict(const PlanRequest& request, const std::vector<int>& devices,
             const std::vector<LayerRange>& ranges);

// The plan that takes least time; among plans within kPlanTolerance of it one with the fewest
// stages. Devices may be left out, central too.
// Errors: kInvalid when no choice of devices fits; the message has the numbers: the least that the
// model needs and what each device has.
Result<Plan> make_plan(const PlanRequest& request);

}  // namespace ft
