#pragma once

// Story: what happened to the run, each event in one line that a person understands (STYLE,
// messages to users).

#include <set>
#include <string>
#include <vector>

#include "runtime/pipeline/report.h"

namespace ft {

// "the loss has grown 40-fold since batch 12: `--lr 0.01` is probably too high".
std::string loss_grown_text(const LossGrownReport& report);

class Story {
 public:
  // "pi4-b lost: 3 -> 2 stages, 5.1 MiB moved, 38 batches replayed, going on after 0.9 s (detect
  // 0.3, pause 0.1, ...); layers ..."; below it the plan's picture, if there was one.
  std::string of(const ReconfiguredReport& report);
  // Of everything else but batches.
  std::string of(const Report& report);

 private:
  std::vector<std::string> changes_;  // since the last reconfiguration: "pi4-b lost"
  size_t stages_ = 0;
  std::set<std::string> names_;  // of these
};

}  // namespace ft
