#pragma once

// SimDisk: a run directory. The journal's lines are synced before central hears of it; the events
// are not: a machine that loses power may lose the newest. A checkpoint is written aside and
// renamed: there is the old one or the new one.

#include <optional>
#include <vector>

#include "runtime/pipeline/central.h"

namespace ft::sim {

struct SimDisk {
  struct Line {
    uint64_t term = 0;
    net::Record record;
  };
  struct Checkpoint {
    int64_t version = -1;
    std::vector<ConstBufferPtr> snapshots;  // by layer
  };

  RunId run{};  // all zero: an empty directory
  std::vector<Line> journal;
  std::optional<Checkpoint> checkpoint;
  std::vector<Report> events;
  bool began_empty = false;  // for a run that went on elsewhere before
  bool lost_events = false;

  int64_t checkpoint_version() const { return checkpoint ? checkpoint->version : -1; }
  const net::Record& record() const;

  // What a central that starts here is told (runtime/node/resume.cpp).
  Restart restart() const;
  SnapshotStore store() const;
};

}  // namespace ft::sim
