#pragma once

// SnapshotChecker: looks at what each process holds, after everything that it does. Nothing is
// deleted before a newer cut was complete (DESIGN 4), and central keeps its newest checkpoint. It
// also tells whether the state of a run still exists somewhere.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/pipeline/snapshot_store.h"
#include "tests/sim/spec.h"
#include "tests/sim/violations.h"

namespace ft::sim {

class SnapshotChecker {
 public:
  SnapshotChecker(const RunSpec* spec, Violations* violations)
      : spec_(*spec), violations_(*violations) {}

  // `records`: of all centrals of the run; a cut that is void by all of them counts for nothing,
  // but for a process that `lags`: it may still be told of one that was complete. `checkpoint`: the
  // newest synced on the disk that the process writes to, -1 for none and for stages; `has_disk`
  // tells central from stages.
  void look(uint64_t process, const std::string& name, const SnapshotStore& store, bool has_disk,
            int64_t checkpoint, bool lags, const std::vector<const net::Record*>& records);
  void gone(uint64_t process);
  // From now on some device or link is slow.
  void not_prompt() { prompt_ = false; }
  // A term begins: central has heard anew who holds what.
  void term_begins() { ghosts_.clear(); }
  void checkpoint_synced(int64_t version, uint64_t term) { complete_.insert({version, term}); }

  // Whether a cut at `floor` or above is whole by this record among those who are there.
  bool exists(const net::Record& record, int64_t floor) const;
  // Whether one at `newest` or below is.
  bool exists_up_to(const net::Record& record, int64_t newest) const;
  bool is_held(const SnapshotKey& key) const;
  bool is_anything_held() const;

 private:
  using Keys = std::set<SnapshotKey>;
  bool is_whole(const net::Record& record, int64_t version) const;
  void stored(const SnapshotKey& key);
  void check_count(const std::string& name, const Keys& held);
  void deleted(const std::string& name, int64_t newest, int64_t oldest_left, bool lags,
               const std::vector<const net::Record*>& records);

  const RunSpec& spec_;
  Violations& violations_;
  bool prompt_ = true;
  std::map<uint64_t, Keys> held_;
  // What those held who are gone, as long as central cannot know that they are.
  std::map<uint64_t, Keys> ghosts_;
  std::set<std::pair<int64_t, uint64_t>> complete_;  // (version, term), ever
};

}  // namespace ft::sim
