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
    review();
    maybe_complete();
  }
}

// After whatever may complete a cut. A cut is complete when every layer is acknowledged by two
// different devices, or by central's synced disk (DESIGN 4). Only versions that training may resume
// from count: releasing for one beyond them would delete the one below, and a checkpoint of it
// might be rolled back.
void Central::review() {
  const int64_t allowed = newest_allowed();
  const int64_t own = book_.newest_whole_at(options_.self, allowed);
  if (own > checkpoint_ && (is_global_cut(options_.training, own) || own == resumed_version_)) {
    checkpoint_ = own;
    actions_.push_back(WriteCheckpoint{own, book_.term_of(own)});
  }
  const int64_t complete =
      std::max(book_.newest_doubled(allowed, members_.leaving()), checkpoint_at(allowed));
  if (complete <= complete_) return;
  complete_ = complete;
  release();
}

// What central's own stage keeps for the checkpoint before may go now, though the cut itself was
// complete already. One that could not be written ends the run, but for the last: that is tried
// again for a while, because all there is is held until it is written.
void Central::on_checkpoint(const CheckpointWrittenEvent& written) {
  const bool is_last = phase_ == Phase::kStoring && written.version == finished_;
  if (!written.status.ok()) {
    if (phase_ == Phase::kStoring && !is_last) return;  // the last one is on its way
    if (!is_last || interrupted_ || now_ >= store_until_) return stop(written.status);
    if (store_failure_.ok()) {
      store_failure_ = written.status;
      tell(StoringReport{written.status.message(), kStoreUs});
    }
    store_again_at_ = now_ + kStoreAgainUs;
    return;
  }
  const int64_t version = written.version;
  checkpoints_.insert(version);
  if (is_last) return complete();
  if (phase_ < Phase::kTraining) return;
  const int64_t complete = complete_;
  review();
  if (complete_ == complete && version <= complete) release();
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
// checkpoint until the next one is complete, whatever the devices have; but on one device alone
// nobody can ask for what is on disk.
void Central::release() {
  const int64_t kept = checkpoint_at(complete_);
  const bool on_disk = options_.alone && phase_ == Phase::kTraining;
  const int64_t below_own = on_disk ? kept + 1 : kept;
  book_.forget_below(below_own);
  checkpoints_.erase(checkpoints_.begin(), checkpoints_.lower_bound(kept));
  for (const auto& [peer, device] : members_.all()) {
    const int64_t below = peer == options_.self ? below_own : complete_;
    if (!device.member || below < 0) continue;
    net::Control message;
    message.mutable_release()->set_version(below);
    message.mutable_release()->set_checkpoint_batches(kept + 1);
    send(peer, std::move(message));
  }
}

}  // namespace ft
