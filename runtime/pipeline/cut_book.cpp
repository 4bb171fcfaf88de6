#include "runtime/pipeline/cut_book.h"

#include <algorithm>
#include <functional>

namespace ft {

void CutBook::append(int64_t version, uint64_t term, const std::vector<net::LayerRange>& ranges) {
  while (record_.entries_size() > 0 &&
         record_.entries(record_.entries_size() - 1).first_batch() > version) {
    record_.mutable_entries()->RemoveLast();
  }
  net::RecordEntry* entry = record_.add_entries();
  entry->set_first_batch(version + 1);
  entry->set_term(term);
  for (const net::LayerRange& range : ranges) *entry->add_ranges() = range;
}

uint64_t CutBook::newest_term() const {
  const int entries = record_.entries_size();
  return entries == 0 ? 0 : record_.entries(entries - 1).term();
}

bool CutBook::hold(const SnapshotKey& key, PeerId peer, uint64_t checksum) {
  if (damaged_.count(key) != 0) return true;
  if (checksum != 0) {
    const auto [first, added] = checksums_.emplace(key, checksum);
    if (!added && first->second != checksum) {
      damaged_.insert(key);
      holders_.erase(key);
      return false;
    }
  }
  holders_[key].insert(peer);
  return true;
}

void CutBook::clear() {
  holders_.clear();
  checksums_.clear();
  damaged_.clear();
}

void CutBook::forget(PeerId peer) {
  for (auto& [key, peers] : holders_) peers.erase(peer);
}

void CutBook::forget_below(int64_t version) {
  const SnapshotKey first{version, 0, 0};
  holders_.erase(holders_.begin(), holders_.lower_bound(first));
  checksums_.erase(checksums_.begin(), checksums_.lower_bound(first));
  damaged_.erase(damaged_.begin(), damaged_.lower_bound(first));
}

const std::set<PeerId>& CutBook::holders(const SnapshotKey& key) const {
  static const std::set<PeerId> kNobody;
  const auto found = holders_.find(key);
  return found == holders_.end() ? kNobody : found->second;
}

bool CutBook::is_whole(int64_t version) const { return missing(version).empty(); }

bool CutBook::is_whole_at(PeerId peer, int64_t version) const {
  for (int layer = 0; layer < layers_; ++layer) {
    if (holders(key(version, layer)).count(peer) == 0) return false;
  }
  return true;
}

bool CutBook::is_doubled(int64_t version, const std::set<PeerId>& leaving) const {
  for (int layer = 0; layer < layers_; ++layer) {
    size_t staying = 0;
    for (const PeerId peer : holders(key(version, layer))) staying += 1 - leaving.count(peer);
    if (staying < 2) return false;
  }
  return true;
}

template <typename Holds>
int64_t CutBook::newest_that(int64_t newest, const Holds& holds) const {
  std::set<int64_t, std::greater<>> versions;
  for (const auto& [key, peers] : holders_) versions.insert(key.version);
  for (const int64_t version : versions) {
    if (version <= newest && holds(version)) return version;
  }
  return -1;
}

int64_t CutBook::newest_whole(int64_t newest) const {
  return newest_that(newest, [this](int64_t version) { return is_whole(version); });
}

int64_t CutBook::newest_whole_at(PeerId peer, int64_t newest) const {
  return newest_that(newest, [&](int64_t version) { return is_whole_at(peer, version); });
}

int64_t CutBook::newest_doubled(int64_t newest, const std::set<PeerId>& leaving) const {
  return newest_that(newest, [&](int64_t version) { return is_doubled(version, leaving); });
}

int64_t CutBook::newest_held() const {
  int64_t newest = -1;
  for (const auto& [key, peers] : holders_) {
    if (!peers.empty() && !is_void(key)) newest = std::max(newest, key.version);
  }
  return newest;
}

std::vector<int> CutBook::missing(int64_t version) const {
  std::vector<int> layers;
  for (int layer = 0; layer < layers_; ++layer) {
    if (holders(key(version, layer)).empty()) layers.push_back(layer);
  }
  return layers;
}

}  // namespace ft
