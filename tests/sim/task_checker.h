#pragma once

// TaskChecker: looks at what the compute threads are asked to do. The version that a pass uses is
// the schedule's rule computed anew; passes and steps come in order; no more are in flight than
// there are stages behind; a layer has one owner in a term, and a batch is stepped once.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "runtime/pipeline/step.h"
#include "tests/sim/spec.h"
#include "tests/sim/violations.h"

namespace ft::sim {

// Over all processes of a run.
class Ownership {
 public:
  // Returns false when another process has the layer in this term from the same central. From
  // another one, the two are contested.
  bool own(uint64_t term, int layer, uint64_t process, PeerId central);
  // Centrals that have given the same layer to two in one term, or zeros.
  const std::pair<PeerId, PeerId>& contested() const { return contested_; }
  // Nobody may have heard of the newest term of a central that is dead: it may be taken again.
  void central_died(uint64_t process) { dead_centrals_.insert(process); }
  void step(uint64_t term, int layer, int64_t batch) { ++steps_[{term, layer, batch}]; }
  void in_flight(int64_t count) { in_flight_max_ = std::max(in_flight_max_, count); }
  int64_t in_flight_max() const { return in_flight_max_; }
  int steps(uint64_t term, int layer, int64_t batch) const {
    const auto found = steps_.find({term, layer, batch});
    return found == steps_.end() ? 0 : found->second;
  }

 private:
  struct Owner {
    uint64_t process = 0;
    PeerId central = 0;
  };
  std::map<std::pair<uint64_t, int>, Owner> owners_;
  std::pair<PeerId, PeerId> contested_{0, 0};
  std::set<uint64_t> dead_centrals_;
  int64_t in_flight_max_ = 0;  // of any stage
  std::map<std::tuple<uint64_t, int, int64_t>, int> steps_;
};

// Of one process.
class TaskChecker {
 public:
  TaskChecker(const RunSpec* spec, std::string name, uint64_t process, Ownership* ownership,
              Violations* violations)
      : spec_(*spec),
        name_(std::move(name)),
        process_(process),
        ownership_(*ownership),
        violations_(*violations) {}

  void started(const Task& task);
  void ended() { running_ = false; }
  // The process holds nothing of a run any more: any central may have it, in any term.
  void forgot() { term_ = 0; }

 private:
  void configured(const Task& task);
  void own_layers(const Task& task);
  void stepped(const Task& task);
  int64_t version_used(int64_t batch) const;
  void require(bool holds, const char* what, const Task& task);

  const RunSpec& spec_;
  std::string name_;
  uint64_t process_;
  Ownership& ownership_;
  Violations& violations_;
  bool running_ = false;
  uint64_t term_ = 0;
  PeerId central_ = 0;
  LayerRange range_;
  int64_t stage_ = 0;
  int64_t stages_ = 1;
  int64_t resumed_ = -1;
  int64_t forwards_ = 0;  // micro-batches since then
  int64_t backwards_ = 0;
  int64_t version_ = -1;
};

}  // namespace ft::sim
