// Central's book of cuts: who holds which snapshot, what is complete, what may go, where to resume
// (DESIGN 4).

#include <algorithm>
#include <functional>

#include "runtime/pipeline/central.h"

namespace ft {

bool Central::held_by(const SnapshotKey& key, PeerId peer) const {
  const auto found = holders_.find(key);
  return found != holders_.end() && found->second.count(peer) != 0;
}

bool Central::is_whole_at(PeerId peer, int64_t version) const {
  for (int layer = 0; layer < layer_count(); ++layer) {
    if (!held_by({version, layer, term_of(version)}, peer)) return false;
  }
  return true;
}

// Every layer is acknowledged by two different devices (DESIGN 4); central's disk is the other way.
bool Central::is_complete(int64_t version) const {
  for (int layer = 0; layer < layer_count(); ++layer) {
    const auto found = holders_.find({version, layer, term_of(version)});
    if (found == holders_.end() || found->second.size() < 2) return false;
  }
  return true;
}

void Central::on_stored(PeerId from, const net::SnapshotStored& stored) {
  const SnapshotKey key = key_of(stored.snapshot());
  if (key.term != term_of(key.version)) return;  // of a history that was rolled back
  holders_[key].insert(from);
  if (from == options_.self && key.version > checkpoint_ &&
      is_global_cut(options_.training, key.version) && is_whole_at(from, key.version)) {
    checkpoint_ = key.version;
    actions_.push_back(WriteCheckpoint{key.version, key.term});
  }
  if (key.version > complete_ && is_complete(key.version)) {
    complete_ = key.version;
    release();
  }
  maybe_complete();
}

void Central::on_checkpoint_written(int64_t version) {
  checkpoints_.insert(version);
  complete_ = std::max(complete_, version);
  release();
}

// The newest version that may be resumed from. An unfinished evaluation keeps its cut: it may have
// to be run again from there.
int64_t Central::newest_allowed() const {
  return evaluations_.empty() ? finished_ : std::min(finished_, evaluations_.front().version);
}

// Never resume below it: the newest checkpoint, -1 if there is none.
int64_t Central::checkpoint_at(int64_t version) const {
  const auto above = checkpoints_.upper_bound(version);
  return above == checkpoints_.begin() ? -1 : *std::prev(above);
}

// Only this deletes snapshots, here and on the devices. Central's own stage keeps its newest
// checkpoint until the next one is complete, whatever the devices have.
void Central::release() {
  const int64_t version = std::min(complete_, newest_allowed());
  const int64_t kept = checkpoint_at(version);
  holders_.erase(holders_.begin(), holders_.lower_bound(SnapshotKey{kept, 0, 0}));
  checkpoints_.erase(checkpoints_.begin(), checkpoints_.lower_bound(kept));
  for (const auto& [peer, device] : devices_) {
    const int64_t below = peer == options_.self ? kept : version;
    if (!device.member || below < 0) continue;
    net::Control message;
    message.mutable_release()->set_version(below);
    send(peer, std::move(message));
  }
}

// The newest version at which every layer is held by somebody, in a snapshot that is not void, and
// that does not skip an unfinished evaluation; -1, the model file's own weights, if there is none.
int64_t Central::choose_version() const {
  std::set<int64_t, std::greater<>> versions;
  for (const auto& [key, peers] : holders_) versions.insert(key.version);
  for (const int64_t version : versions) {
    // Beyond finished_ a loss may still be on its way; every batch is reported.
    if (version > newest_allowed()) continue;
    bool whole = true;
    for (int layer = 0; layer < layer_count() && whole; ++layer) {
      whole = holders_.count({version, layer, term_of(version)}) != 0;
    }
    if (whole) return version;
  }
  return -1;
}

std::string Central::missing_layers(int64_t version) const {
  std::string text;
  for (int layer = 0; layer < layer_count(); ++layer) {
    if (holders_.count({version, layer, term_of(version)}) != 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(layer);
  }
  return text;
}

void Central::add_fetches(PeerId peer, const LayerRange& range, net::Assign* assign) const {
  if (resumed_version_ < 0) return;
  for (int layer = range.first; layer < range.last; ++layer) {
    const SnapshotKey key{resumed_version_, layer, term_of(resumed_version_)};
    const std::set<PeerId>& peers = holders_.at(key);
    if (peers.count(peer) != 0) continue;
    net::Fetch* fetch = assign->add_fetches();
    *fetch->mutable_snapshot() = name_of(key);
    fetch->set_from(*peers.begin());
    fetch->set_bytes(options_.layer_bytes[static_cast<size_t>(layer)]);
  }
}

}  // namespace ft
