#pragma once

// SnapshotStore: the snapshots that one device holds, its own and replicas for others, named by
// (layer, version, term) (DESIGN 2). Pure; the bytes are shared buffers. Only central's release
// deletes (DESIGN 4).

#include <compare>
#include <cstdint>
#include <map>
#include <vector>

#include "net/message.pb.h"
#include "runtime/base/buffer.h"

namespace ft {

struct SnapshotKey {
  int64_t version = 0;
  int32_t layer = 0;
  uint64_t term = 0;
  auto operator<=>(const SnapshotKey&) const = default;
};

inline SnapshotKey key_of(const net::SnapshotName& name) {
  return {name.version(), name.layer(), name.term()};
}
inline net::SnapshotName name_of(const SnapshotKey& key) {
  net::SnapshotName name;
  name.set_layer(key.layer);
  name.set_version(key.version);
  name.set_term(key.term);
  return name;
}

// The term whose members trained `version` by this record; 0 for -1, the model file's own weights.
// A snapshot of another term is void: it belongs to a history that was rolled back.
inline uint64_t term_of_version(const net::Record& record, int64_t version) {
  uint64_t term = 0;
  for (const net::RecordEntry& entry : record.entries()) {
    if (entry.first_batch() <= version) term = entry.term();
  }
  return term;
}

class SnapshotStore {
 public:
  void put(const SnapshotKey& key, ConstBufferPtr bytes) { held_[key] = std::move(bytes); }

  // Null when it is not held.
  ConstBufferPtr find(const SnapshotKey& key) const {
    const auto found = held_.find(key);
    return found == held_.end() ? nullptr : found->second;
  }

  // Central's word that everything below `version` may go.
  void release_below(int64_t version) {
    held_.erase(held_.begin(), held_.lower_bound(SnapshotKey{version, 0, 0}));
  }

  const std::map<SnapshotKey, ConstBufferPtr>& held() const { return held_; }

 private:
  std::map<SnapshotKey, ConstBufferPtr> held_;
};

}  // namespace ft
