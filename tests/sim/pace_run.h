#pragma once

// PaceRun: a simulated run that is about speed, and what came of it beside the ideal: all devices
// at work all the time. pace_test.cpp holds the runs to limits.

#include <string>
#include <vector>

#include "tests/sim/cluster.h"

namespace ft::sim {

struct PaceRun {
  std::string name;
  std::vector<double> speeds;    // central's first, then in the order of joining
  std::vector<CpuQuota> quotas;  // of their CPUs; fewer: the others have none
  std::vector<int64_t> rates;    // bytes/s of their networks; fewer: the others have no limit
  bool dynamic = true;
  int micro_batches = 1;  // more: sync
  double scatter = 0;     // each task takes up to that much more or less, relative
  int64_t batches = 300;
  std::vector<Fault> faults;
};

// A part of a run.
struct PacePart {
  double batch_us = 0;
  double of_ideal = 0;  // by the speeds that the run begins with
};

struct PaceFigures {
  RunResult result;
  std::vector<TimeUs> batch_at;  // when central told of each batch
  double ideal_us = 0;           // of a batch, if all devices were at work all the time

  // From batch `first` to batch `last`.
  PacePart part(int64_t first, int64_t last) const;
  // From 20 batches behind the last reconfiguration to shortly before the end.
  PacePart steady() const;
  // Speed that the last plan promised over what came of it; 0: there was no plan.
  double promised_over_steady() const;
  // Seconds from the first configuration to each that had this reason.
  std::vector<double> reconfigured_s(const std::string& reason) const;
  // All reconfigurations, a line each.
  std::string story() const;
};

PaceFigures run_pace(const PaceRun& run, uint64_t seed = 1);

// MobileNetV2 on the clusters of docs/performance.md; `ftsim --pace` prints what comes of them.
std::vector<PaceRun> pace_runs();
// Returns whether all of them kept the rules.
bool print_paces();

}  // namespace ft::sim
