#pragma once

// CutBook: central's book of who holds which snapshot, read against the record (DESIGN 4). It
// answers which cuts are whole, which are complete, and who lacks what. A snapshot whose term is
// not the record's for its version is void and counts for nothing. Pure.

#include <map>
#include <set>
#include <vector>

#include "net/bulk.h"
#include "runtime/pipeline/snapshot_store.h"

namespace ft {

class CutBook {
 public:
  explicit CutBook(int layers) : layers_(layers) {}

  const net::Record& record() const { return record_; }
  void set_record(const net::Record& record) { record_ = record; }
  // Resuming from `version` cuts the record after it and appends the new configuration.
  void append(int64_t version, uint64_t term, const std::vector<net::LayerRange>& ranges);
  // The term that the last entry names; 0 for an empty record.
  uint64_t newest_term() const;

  uint64_t term_of(int64_t version) const { return term_of_version(record_, version); }
  SnapshotKey key(int64_t version, int layer) const { return {version, layer, term_of(version)}; }
  bool is_void(const SnapshotKey& key) const { return key.term != term_of(key.version); }

  // `checksum` is of what this peer stored, 0 when it is not known. Returns false when another copy
  // has another one: one of them is damaged, nobody can say which, so neither counts any more.
  bool hold(const SnapshotKey& key, PeerId peer, uint64_t checksum = 0);
  void forget(PeerId peer);
  void forget_below(int64_t version);
  void clear();

  // Empty when nobody does.
  const std::set<PeerId>& holders(const SnapshotKey& key) const;
  // Every layer is held by somebody; by this peer; by two of those who stay.
  bool is_whole(int64_t version) const;
  bool is_whole_at(PeerId peer, int64_t version) const;
  bool is_doubled(int64_t version, const std::set<PeerId>& leaving) const;
  // The newest such version that is at most `newest`; -1 if there is none.
  int64_t newest_whole(int64_t newest) const;
  int64_t newest_whole_at(PeerId peer, int64_t newest) const;
  int64_t newest_doubled(int64_t newest, const std::set<PeerId>& leaving) const;
  // The newest version of which anybody holds a layer; -1 if there is none.
  int64_t newest_held() const;
  std::vector<int> missing(int64_t version) const;

 private:
  template <typename Holds>
  int64_t newest_that(int64_t newest, const Holds& holds) const;

  int layers_;
  net::Record record_;
  std::map<SnapshotKey, std::set<PeerId>> holders_;
  std::map<SnapshotKey, uint64_t> checksums_;  // as first told
  std::set<SnapshotKey> damaged_;
};

}  // namespace ft
