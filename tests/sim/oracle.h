#pragma once

// The oracle: what a run must come to, computed batch by batch by the rules of DESIGN 3 and the
// record alone. It shares the arithmetic with the fake executor, and no rule with the product.

#include <map>
#include <vector>

#include "tests/sim/arithmetic.h"

namespace ft::sim {

struct Outcome {
  std::vector<LayerDigests> state;  // by layer, after the last batch
  std::vector<double> losses;       // by batch: mean over its rows
  struct Evaluation {
    double loss = 0;
    double accuracy = 0;
  };
  std::map<int64_t, Evaluation> evaluations;  // by cut
};

// `sync` does not look at the record. REQUIRES: for `async` a record that begins at batch 0.
Outcome replay(const RunSpec& spec, const net::Record& record, int64_t batches);

}  // namespace ft::sim
