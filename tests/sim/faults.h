#pragma once

// Faults: what goes wrong in a run, and when. A list of them comes from a seed or from a scenario
// file; each waits until the one before it has struck.

#include <string>
#include <vector>

#include "tests/sim/surroundings.h"

namespace ft::sim {

enum class FaultKind : uint8_t {
  kCrash,         // a process is killed
  kPowerLoss,     // a machine is gone, without a word
  kPause,         // a process is stopped and goes on later
  kPartition,     // nothing passes between two machines
  kOneWay,        // nothing passes from one to the other
  kCut,           // the connections between two machines break
  kSlowLink,      // between two machines
  kDuplicate,     // frames between two machines arrive twice
  kSlowDevice,    // tasks take `factor` times longer
  kLeave,         // a stage is asked to leave
  kJoin,          // another stage starts
  kCentralCrash,  // central is killed and started again on its disk
  kCentralPowerLoss,
  kCentralWiped,      // the same, on an empty disk
  kCentralInterrupt,  // central is asked to end (Ctrl-C), and started again on its disk
  kTwoCentrals,       // central is paused, another one takes over on an empty disk
  kTwoCentralsCopy,   // the same, on a copy of the disk
  kRestart,           // a stage that is gone starts again
  kHeal,              // everything that hurts ends
};
constexpr int kFaultKinds = 19;
const char* name_of(FaultKind kind);

struct Trigger {
  enum class Kind : uint8_t { kAfter, kBatch, kMoment, kNote };
  Kind kind = Kind::kAfter;
  int64_t batch = 0;  // kBatch: once a stage has stepped it; kNote: index in the trace
  Moment moment = Moment::kOpen;
  TimeUs delay = 0;  // kAfter: after the fault before, or the start; else after that
};

constexpr TimeUs kForGood = -1;

struct Fault {
  Trigger when;
  FaultKind kind = FaultKind::kCrash;
  int device = 1;  // 0: central's
  int other = 0;
  // Until the process starts again or wakes, the link heals, ...; kForGood: not before the end of
  // all faults.
  TimeUs duration = kForGood;
  int factor = 50;  // kSlowDevice
};

// Some of every kind, mixed, in all phases. `stages`: devices 1 to that many.
std::vector<Fault> draw_faults(Dice* dice, const RunSpec& spec);

}  // namespace ft::sim
