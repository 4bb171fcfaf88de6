#pragma once

// Scenario: a situation as a text file that one can read: a job, faults in order, and what must
// come of it. README.md has the format.

#include <string>
#include <vector>

#include "tests/sim/cluster.h"

namespace ft::sim {

struct Scenario {
  RunSpec spec;
  std::vector<Fault> faults;
  RunResult::End end = RunResult::End::kFinished;
  int64_t replayed_max = -1;         // -1: any
  int reconfigurations = -1;         // after the start; -1: any
  int stages = -1;                   // with layers in the end; -1: any
  int refused = -1;                  // centrals; -1: any
  std::vector<std::string> apart{};  // two that are no neighbours in the end
};

// Errors: kInvalid, naming the line.
Result<Scenario> parse_scenario(const std::string& text);

// What is not as expected, or an empty string.
std::string play(const Scenario& scenario, uint64_t seed, bool keep_text, RunResult* result);

}  // namespace ft::sim
