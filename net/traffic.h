#pragma once

#include <cstdint>

#include "net/frame.h"

namespace ft {

// Bytes handed to ZeroMQ since start, headers included and resent ones again, by kind (DESIGN 7,
// `finished`).
struct TrafficCounts {
  int64_t activations = 0;  // kActivation, kEvaluation
  int64_t gradients = 0;
  int64_t labels = 0;    // kLabels, kEvaluationLabels
  int64_t replicas = 0;  // kSnapshot
  int64_t model = 0;
  int64_t control = 0;         // acknowledgements, heartbeats and Hellos, too
  int64_t dropped_frames = 0;  // stale, foreign or malformed frames received
  int64_t resent_frames = 0;

  void count_sent(const Frame& frame);
};

}  // namespace ft
