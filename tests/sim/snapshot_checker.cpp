#include "tests/sim/snapshot_checker.h"

#include <algorithm>
#include <limits>

#include "runtime/base/status.h"

namespace ft::sim {
namespace {

// Cuts that are not complete yet, or that a drain, an evaluation or a rollback has added.
constexpr int64_t kCutsUnderWay = 5;

// By the record, computed anew.
uint64_t term_by(const net::Record& record, int64_t version) {
  uint64_t term = 0;
  for (const net::RecordEntry& entry : record.entries()) {
    if (entry.first_batch() <= version) term = entry.term();
  }
  return term;
}

}  // namespace

void SnapshotChecker::look(uint64_t process, const std::string& name, const SnapshotStore& store,
                           bool has_disk, int64_t checkpoint, bool lags,
                           const std::vector<const net::Record*>& records) {
  Keys& known = held_[process];
  const auto& held = store.held();
  const bool same = known.size() == held.size() &&
                    std::equal(known.begin(), known.end(), held.begin(),
                               [](const auto& a, const auto& b) { return a == b.first; });
  if (same) return;
  std::vector<SnapshotKey> added;
  for (const auto& [key, bytes] : held) {
    if (known.insert(key).second) added.push_back(key);
  }
  int64_t newest_deleted = -1;
  std::erase_if(known, [&](const SnapshotKey& key) {
    if (held.count(key) != 0) return false;
    newest_deleted = std::max(newest_deleted, key.version);
    return true;
  });
  for (const SnapshotKey& key : added) stored(key);
  check_count(name, known);
  if (newest_deleted < 0) return;
  const int64_t oldest_left =
      known.empty() ? std::numeric_limits<int64_t>::max() : known.begin()->version;
  deleted(name, newest_deleted, oldest_left, lags, records);
  if (has_disk && newest_deleted >= checkpoint) {
    violations_.add(format("%s deleted version %lld, its newest checkpoint is %lld", name.c_str(),
                           static_cast<long long>(newest_deleted),
                           static_cast<long long>(checkpoint)));
  }
}

// While everybody answers in time: the newest checkpoint and what came after it, until the next one
// is complete. Cuts that are on their way when links are slow are not bounded by the protocol.
void SnapshotChecker::check_count(const std::string& name, const Keys& held) {
  if (!prompt_) return;
  std::set<int64_t> versions;
  for (const SnapshotKey& key : held) versions.insert(key.version);
  const int64_t ahead = (spec_.stages + spec_.cut_every) / spec_.cut_every;  // in the pipeline
  const int64_t limit = spec_.global_every + ahead + kCutsUnderWay;
  if (static_cast<int64_t>(versions.size()) <= limit) return;
  violations_.add(format("%s holds snapshots of %zu versions", name.c_str(), versions.size()));
}

void SnapshotChecker::gone(uint64_t process) {
  ghosts_[process] = std::move(held_[process]);
  held_.erase(process);
}

void SnapshotChecker::stored(const SnapshotKey& key) {
  for (int layer = 0; layer < spec_.layers; ++layer) {
    const SnapshotKey part{key.version, layer, key.term};
    const auto holds = [&](const auto& entry) { return entry.second.count(part) != 0; };
    if (std::count_if(held_.begin(), held_.end(), holds) +
            std::count_if(ghosts_.begin(), ghosts_.end(), holds) <
        2) {
      return;
    }
  }
  complete_.insert({key.version, key.term});
}

// Some Release said so: for a version above all that went, and not above what stayed.
void SnapshotChecker::deleted(const std::string& name, int64_t newest, int64_t oldest_left,
                              bool lags, const std::vector<const net::Record*>& records) {
  for (const auto& [version, term] : complete_) {
    if (version <= newest || version > oldest_left) continue;
    if (lags) return;
    for (const net::Record* record : records) {
      if (term_by(*record, version) == term) return;
    }
  }
  violations_.add(format("%s deleted version %lld before a newer cut was complete", name.c_str(),
                         static_cast<long long>(newest)));
}

bool SnapshotChecker::is_held(const SnapshotKey& key) const {
  return std::any_of(held_.begin(), held_.end(),
                     [&](const auto& entry) { return entry.second.count(key) != 0; });
}

bool SnapshotChecker::is_anything_held() const {
  return std::any_of(held_.begin(), held_.end(),
                     [](const auto& entry) { return !entry.second.empty(); });
}

bool SnapshotChecker::exists(const net::Record& record, int64_t floor) const {
  if (floor < 0) return true;  // the model file is enough
  for (int64_t version = floor; version < spec_.batches; ++version) {
    if (is_whole(record, version)) return true;
  }
  return false;
}

bool SnapshotChecker::exists_up_to(const net::Record& record, int64_t newest) const {
  for (int64_t version = newest; version >= 0; --version) {
    if (is_whole(record, version)) return true;
  }
  return false;
}

bool SnapshotChecker::is_whole(const net::Record& record, int64_t version) const {
  bool whole = true;
  for (int layer = 0; layer < spec_.layers && whole; ++layer) {
    whole = is_held({version, layer, term_by(record, version)});
  }
  return whole;
}

}  // namespace ft::sim
