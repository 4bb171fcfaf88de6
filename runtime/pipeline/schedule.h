#pragma once

// The schedule's rules, one function each (DESIGN 3). Pipeline, simulator and the replay oracle use
// these and nothing else.

#include <cstdint>

#include "net/message.pb.h"

namespace ft {

// Where a stage stands in the pipeline of one term.
struct StagePlace {
  int stage = 0;
  int stages = 1;
  int64_t resumed_version = -1;  // v0
};

// Micro-batches per batch: sync splits, async does not.
inline int micro_count(const net::Training& training) {
  return training.schedule() == net::kSync ? training.micro_batches() : 1;
}

// The version whose parameters forward and backward of `batch` use: async max(b - (S - s), v0), so
// that it is known before the later batches' updates; sync b - 1.
int64_t version_used(const net::Training& training, const StagePlace& place, int64_t batch);

// The oldest version that goes into the mean of version `batch`; `batch` itself when nothing is
// aggregated (a single version is its own mean).
int64_t mean_from(const net::Training& training, const StagePlace& place, int64_t batch);

// The oldest version that a stage still needs once it has stepped to `version`.
int64_t oldest_needed(const net::Training& training, const StagePlace& place, int64_t version);

// How many micro-batches may be between forward and backward at a stage: 1F1B.
inline int in_flight_max(const StagePlace& place) { return place.stages - place.stage; }

// Whether a stage's backward hands on its inputs' gradients before it computes those of its
// parameters. The round trip gets shorter, but what both need is read twice: 4 to 5 % of the
// stage's time. That pays where the others would wait: while sync fills and empties the pipeline,
// and in async with many stages.
bool defers_gradients(const net::Training& training, const StagePlace& place);

// An evaluation belongs to the cut at this version: an epoch's end, or the end of the run.
bool is_evaluated(const net::Training& training, int64_t version);

// Every stage takes a snapshot of its layers at this version and pushes it to the next device:
// every `replicate_every` batches, and where an evaluation must survive a failure.
bool is_cut(const net::Training& training, int64_t version);

// The cut is pushed to central as well, which writes it to disk.
bool is_global_cut(const net::Training& training, int64_t version);

}  // namespace ft
