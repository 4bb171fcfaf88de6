#include "tests/sim/sim_disk.h"

#include <algorithm>

namespace ft::sim {

const net::Record& SimDisk::record() const {
  static const net::Record kEmpty;
  return journal.empty() ? kEmpty : journal.back().record;
}

Restart SimDisk::restart() const {
  Restart restart;
  restart.resume = true;
  if (run == RunId{}) return restart;
  restart.term = journal.empty() ? 0 : journal.back().term;
  restart.record = record();
  restart.checkpoint = checkpoint_version();
  for (const Report& report : events) {
    if (const auto* reconfigured = std::get_if<ReconfiguredReport>(&report)) {
      restart.finished = reconfigured->resume_batch - 1;
    } else if (const auto* batch = std::get_if<BatchReport>(&report)) {
      restart.finished = batch->batch;
      restart.reported = std::max(restart.reported, batch->batch);
    } else if (const auto* evaluated = std::get_if<EvaluatedReport>(&report)) {
      restart.evaluated = std::max(restart.evaluated, evaluated->version);
    }
  }
  return restart;
}

SnapshotStore SimDisk::store() const {
  SnapshotStore store;
  if (!checkpoint) return store;
  const uint64_t term = term_of_version(record(), checkpoint->version);
  for (size_t layer = 0; layer < checkpoint->snapshots.size(); ++layer) {
    store.put({checkpoint->version, static_cast<int32_t>(layer), term},
              checkpoint->snapshots[layer]);
  }
  return store;
}

}  // namespace ft::sim
