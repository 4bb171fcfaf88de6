#pragma once

// Surroundings: what all processes of one simulated run share: time, network, the job, the checkers
// and the planted bug.

#include <functional>
#include <memory>

#include "tests/sim/plant.h"
#include "tests/sim/report_checker.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/snapshot_checker.h"
#include "tests/sim/task_checker.h"

namespace ft::sim {

// What faults may wait for: a step of a reconfiguration, or a batch that some stage has stepped.
class Process;
enum class Moment : uint8_t { kOpen, kPause, kMove, kSeal, kResume, kBatch };

struct Surroundings {
  Surroundings(uint64_t seed, RunSpec job)
      : world(seed),
        network(&world),
        spec(std::move(job)),
        snapshots(&spec, &violations),
        terms(&violations) {}

  World world;
  std::map<PeerId, std::string> names;
  SimNetwork network;
  RunSpec spec;
  Violations violations;
  Ownership ownership;
  SnapshotChecker snapshots;
  TermChecker terms;
  std::unique_ptr<Plant> plant = std::make_unique<Plant>();
  std::function<void(Moment, int64_t)> moment = [](Moment, int64_t) {};
  // A central takes a new term, or goes on.
  std::function<void(const Process&)> leads = [](const Process&) {};
  uint64_t newest_term = 0;  // that any central has taken
  // The newest that each central has written to its journal.
  std::vector<std::unique_ptr<net::Record>> records;
};

}  // namespace ft::sim
