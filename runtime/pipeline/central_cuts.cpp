// Central and its cuts: what is complete, what may go, where to resume (DESIGN 4).

#include <algorithm>
#include <limits>

#include "runtime/pipeline/central.h"

namespace ft {

void Central::on_stored(PeerId from, const net::SnapshotStored& stored) {
  const SnapshotKey key = key_of(stored.snapshot());
  if (book_.is_void(key)) return;  // of a history that was rolled back
  if (!book_.hold(key, from, stored.checksum())) {
    tell(DamagedReport{members_.at(from).hello.name(), key.layer, key.version});
    return;
  }
  if (phase_ == Phase::kDraining) {
    if (book_.is_whole(finished_)) begin(drain_reason_);
  } else if (phase_ >= Phase::kTraining) {
    const bool global = is_global_cut(options_.training, key.version);
    if (from == options_.self && global) write_checkpoint(key.version);
    review(key.version);
    maybe_complete();
  }
}

// A cut is complete when every layer is acknowledged by two different devices, or by central's
// synced disk (DESIGN 4).
void Central::review(int64_t version) {
  if (version <= complete_ || version < 0 || !book_.is_doubled(version, members_.leaving())) return;
  complete_ = version;
  release();
}

void Central::write_checkpoint(int64_t version) {
  if (version <= checkpoint_ || !book_.is_whole_at(options_.self, version)) return;
  checkpoint_ = version;
  actions_.push_back(WriteCheckpoint{version, book_.term_of(version)});
}

void Central::on_checkpoint_written(int64_t version) {
  if (version > checkpoint_) return;  // it was rolled back meanwhile
  checkpoints_.insert(version);
  complete_ = std::max(complete_, version);
  release();
}

// The first cut whose evaluation is not done.
int64_t Central::next_evaluation() const {
  const net::Training& training = options_.training;
  if (!training.evaluate()) return std::numeric_limits<int64_t>::max();
  const int64_t every = training.batches_per_epoch();
  const int64_t epoch_end = ((evaluated_ + 1) / every + 1) * every - 1;
  const int64_t last = training.batches() - 1;
  return evaluated_ < last ? std::min(epoch_end, last) : std::numeric_limits<int64_t>::max();
}

// The newest version that may be resumed from: what has been reported, and an unfinished evaluation
// keeps its cut, because it may have to be run again from there.
int64_t Central::newest_allowed() const { return std::min(finished_, next_evaluation()); }

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
  book_.forget_below(kept);
  checkpoints_.erase(checkpoints_.begin(), checkpoints_.lower_bound(kept));
  for (const auto& [peer, device] : members_.all()) {
    const int64_t below = peer == options_.self ? kept : version;
    if (!device.member || below < 0) continue;
    net::Control message;
    message.mutable_release()->set_version(below);
    message.mutable_release()->set_checkpoint_batches(kept + 1);
    send(peer, std::move(message));
  }
}

}  // namespace ft
