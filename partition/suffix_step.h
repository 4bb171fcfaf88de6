#pragma once

// The step that all searches share: one stage put in front of the best suffixes of the model.
//
// A suffix is the end of a pipeline: some stages that run the layers from a cut to the last. What
// stages in front of it need to know is its first device, its first layer, how many stages it has
// and its latency: the sum of its c, f and b. Less latency is never worse in front (the bounds over
// S - s and the sum in sync grow with it), so for each (devices, first device, first layer) the
// suffix of least latency is enough. That makes a plan under a limit on every c, f and b a matter
// of dynamic programming from the model's end, exact for async and sync.

#include "partition/cost_table.h"

namespace ft {

// The stage that is put in front.
struct FrontStage {
  FrontStage(CostTable* table, int device, int stages);

  const double* before_us;  // as in CostTable, of its device
  const double* begin_us;
  const double* end_us;
  const int* range_end;
  double limit_us = 0;               // on its compute
  double latency_us_max = 0;         // on the new suffix
  const double* ahead_us = nullptr;  // by first layer: the least that the layers in front will add
  double total_us_max = 0;           // to it, and what both may come to
  int first_max = 0;                 // no suffix begins behind this layer
};

// Cuts [first, last]; empty when first > last.
struct CutSpan {
  int first = 0;
  int last = -1;
};

// key[j], for j in `span`: the latency of the suffix behind cut j with the transfers between, plus
// end_us[j]; kNever where there is none. Writes to latency[i] the least latency of a suffix that
// begins at layer i with the new stage, for i in the span that is returned; there is none outside.
// Takes O(span) where bytes at cuts cost nothing and few more steps where they cost little. `cuts`
// has room for span.last + 1 numbers.
CutSpan put_in_front(const FrontStage& stage, const double* key, const CutSpan& span,
                     double* latency, int* cuts);

}  // namespace ft
