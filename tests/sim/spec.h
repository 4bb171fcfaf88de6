#pragma once

// RunSpec: what a simulated training job is. Nothing in it is a fault.

#include <cstdint>
#include <vector>

#include "net/message.pb.h"
#include "runtime/base/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/pace.h"

namespace ft::sim {

// Of a micro-batch.
constexpr int64_t kRows = 2;
// A layer's state: parameters, optimizer state, running statistics.
constexpr int64_t kStateBytes = 24;

struct RunSpec {
  int stages = 3;  // besides central
  int layers = 6;
  bool sync = false;
  bool dynamic = false;  // partition by measured times
  bool eager = false;    // ... and again for the least gain
  int micro_batches = 2;
  int aggregate_every = 0;
  int64_t batches = 12;
  int64_t batches_per_epoch = 6;
  int64_t evaluation_batches = 0;  // 0: no evaluation
  int64_t cut_every = 3;
  int64_t global_every = 2;
  std::vector<int64_t> layer_bytes;  // of each layer's snapshot; at least kStateBytes
  int64_t model_bytes = 300;
  TimeUs task_us = 4 * kMillisecondUs;  // about what a forward pass takes
  TimeUs latency_us = 300;
  int64_t bytes_per_s = 100'000'000;
  Pace pace;  // if not empty, it says what tasks take and what crosses cuts

  int micros() const { return sync ? micro_batches : 1; }
  // The last evaluation batch lacks a row.
  int64_t evaluation_rows() const {
    return evaluation_batches == 0 ? 0 : evaluation_batches * kRows - 1;
  }
  int64_t rows_of_evaluation(int64_t index) const {
    return index == evaluation_batches - 1 ? kRows - 1 : kRows;
  }
  bool is_evaluated(int64_t version) const {
    return evaluation_batches > 0 &&
           ((version + 1) % batches_per_epoch == 0 || version == batches - 1);
  }
  net::Training training() const;
};

// A job drawn from a seed: 2 to 5 devices, 3 to 8 layers, 8 to 24 batches.
RunSpec draw_spec(Dice* dice);

}  // namespace ft::sim
