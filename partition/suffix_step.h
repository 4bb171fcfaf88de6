#pragma once

// The step that all searches share: one stage put in front of the best suffixes of the model.
//
// A suffix is the end of a pipeline: some stages that run the layers from a cut to the last. What
// stages in front of it need to know is its first device, its first layer, how many stages it has
// and its latency: the sum of its c, f and b. Less latency is never worse in front (the bounds over
// S - s and the sum in sync grow with it), so for each (devices, first device, first layer) the
// suffix of least latency is enough. That makes a plan under a limit on every c, f and b a matter
// of dynamic programming from the model's end, exact for async and sync.

namespace ft {

// The stage that is put in front.
struct FrontStage {
  const double* before_us;  // CostTable::before of its device
  const int* range_end;     // CostTable::range_end of its device
  double besides_us;        // CostTable::besides_us of its device
  double limit_us;          // on its compute
  double latency_us_max;    // on the new suffix
  const double* ahead_us;   // by first layer: the least that the layers in front will add to it,
  double total_us_max;      // and what both may come to
  int first_max;            // no suffix begins behind this layer
};

// Cuts [first, last]; empty when first > last.
struct CutSpan {
  int first = 0;
  int last = -1;
};

// key[j], for j in `span`: the latency of the suffix behind cut j with the transfers between, plus
// before_us[j] and besides_us; kNever where there is none. Writes to latency[i] the least latency
// of a suffix that begins at layer i with the new stage, for i in the span that is returned; there
// is none outside. The best cut of each i is the least key in a window that moves down with i, so
// all of it takes O(span). `window` has room for span.last + 1 numbers.
CutSpan put_in_front(const FrontStage& stage, const double* key, const CutSpan& span,
                     double* latency, int* window);

}  // namespace ft
