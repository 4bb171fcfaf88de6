#pragma once

// ReportChecker: looks at what a run directory says of the run. Batches are told in order, each at
// least once, and again only when they were rolled back; evaluations exactly once; training never
// resumes below a checkpoint that anybody knew of; terms only grow. Batches are skipped only by a
// central that begins again, when no cut at or below what was told is whole.

#include <cstdint>
#include <map>
#include <set>

#include "runtime/pipeline/report.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/snapshot_checker.h"
#include "tests/sim/violations.h"

namespace ft::sim {

// Of a run, over all its centrals.
class TermChecker {
 public:
  explicit TermChecker(Violations* violations) : violations_(*violations) {}
  // An inventory of this term names a checkpoint.
  void inventory(uint64_t term, int64_t checkpoint);
  // `central`: its process. One that sleeps while another leads may still finish what it began;
  // that it then stops is not looked at here.
  void resumed(uint64_t term, int64_t version, int64_t disk_checkpoint, uint64_t central);
  int count() const { return count_; }

 private:
  Violations& violations_;
  std::map<uint64_t, uint64_t> newest_;  // by central
  int count_ = 0;
  std::map<uint64_t, int64_t> checkpoints_;
};

// Of a disk; goes on when another central takes it up.
class ReportChecker {
 public:
  ReportChecker(const RunSpec* spec, const SimDisk* disk, const SnapshotChecker* snapshots,
                Violations* violations)
      : spec_(*spec), disk_(*disk), snapshots_(*snapshots), violations_(*violations) {}

  void told(const Report& report);
  // The newest lines were lost: what is left is what was told.
  void forget();
  // All that was told, when the run is done.
  void finished(const Outcome& outcome);

 private:
  void batch(const BatchReport& report);
  void evaluated(const EvaluatedReport& report);
  // Some of what happened was never told here, or was forgotten.
  bool has_gaps() const { return disk_.began_empty || disk_.lost_events || skipped_; }

  const RunSpec& spec_;
  const SimDisk& disk_;
  const SnapshotChecker& snapshots_;
  Violations& violations_;
  bool skipped_ = false;
  int64_t next_ = 0;
  int64_t newest_ = -1;
  std::map<int64_t, double> losses_;  // as told last
  std::map<int64_t, EvaluatedReport> evaluations_;
};

}  // namespace ft::sim
