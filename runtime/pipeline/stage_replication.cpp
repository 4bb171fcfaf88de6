// Stage and its snapshots: what it holds, pushes, fetches and passes on.

#include <algorithm>

#include "runtime/pipeline/stage.h"

namespace ft {

void Stage::take_cut(Reach reach) {
  const net::LayerRange& range = assign_.stages(place_.stage).range();
  for (int32_t layer = range.first(); layer < range.last(); ++layer) {
    snapshots_due_.push_back({layer, version_, reach});
  }
}

// Stored first, acknowledged after.
void Stage::hold(const SnapshotKey& key, ConstBufferPtr bytes) {
  store_.put(key, std::move(bytes));
  net::Control message;
  *message.mutable_snapshot_stored()->mutable_snapshot() = name_of(key);
  send(central_, std::move(message));
}

void Stage::push(PeerId to, const SnapshotKey& key) {
  const ConstBufferPtr bytes = store_.find(key);
  if (bytes == nullptr || to == options_.self || to == 0) return;
  const BulkName name{BulkKind::kSnapshot, 0, 0, key.layer, key.version, key.term};
  actions_.push_back(SendBulk{to, name, bytes});
}

void Stage::on_snapshot(const TaskResult& result) {
  snapshot_us_ += result.busy_us;
  const SnapshotDue due = snapshots_due_.front();
  snapshots_due_.pop_front();
  const SnapshotKey key{due.version, due.layer, term_of(due.version)};
  hold(key, result.tensors[0]);
  const PeerId successor = assign_.successor();
  if (due.reach >= Reach::kSuccessor) push(successor, key);
  if (due.reach >= Reach::kCentral && successor != central_) push(central_, key);
}

// Central's file, unless this device has it.
void Stage::want_model(PeerId from, const std::string& sha256, int64_t bytes) {
  model_wanted_ = from != 0 && options_.hello.model_sha256() != sha256 && model_ == nullptr;
  if (!model_wanted_) return;
  model_from_ = from;
  model_bytes_ = bytes;
  net::Control message;
  message.mutable_fetch_model();
  send(from, std::move(message));
}

// Asks for what this device lacks: the model file, and layers at the version to resume from.
// Central's own stage fetches for others, too, with layers of its own or without.
void Stage::fetch(const net::Assign& assign) {
  if (has_range()) want_model(assign.model_from(), assign.model_sha256(), assign.model_bytes());
  for (const net::Fetch& item : assign.fetches()) {
    fetching_[key_of(item.snapshot())] = item;
    net::Control message;
    *message.mutable_fetch_snapshot()->mutable_snapshot() = item.snapshot();
    send(item.from(), std::move(message));
  }
  configure_wanted_ = has_all();
}

bool Stage::has_all() const { return has_range() && !model_wanted_ && fetching_.empty(); }

// Central's own stage is asked for layers that it fetches itself, on behalf of devices that do not
// reach each other.
void Stage::on_fetch_snapshot(PeerId from, const SnapshotKey& key) {
  if (store_.find(key) != nullptr) {
    push(from, key);
  } else {
    relays_[key].insert(from);
  }
}

void Stage::on_snapshot_arrived(const BulkEvent& event) {
  const SnapshotKey key{event.name.version, event.name.item, event.name.origin_term};
  hold(key, event.bytes);
  const auto asked = relays_.find(key);
  if (asked != relays_.end()) {
    for (const PeerId peer : asked->second) push(peer, key);
    relays_.erase(asked);
  }
  if (fetching_.erase(key) > 0) configure_wanted_ = has_all();
}

void Stage::on_release(const net::Release& release) {
  store_.release_below(release.version());
  checkpoint_batches_ = std::max(checkpoint_batches_, release.checkpoint_batches());
}

// Fetched snapshots come from whom they were asked of; replicas from whoever runs the layer.
int64_t Stage::snapshot_bytes(PeerId from, const BulkName& name) const {
  const auto asked = fetching_.find({name.version, name.item, name.origin_term});
  if (asked != fetching_.end()) {
    return asked->second.from() == from ? asked->second.bytes() : -1;
  }
  if (phase_ != Phase::kReady && phase_ != Phase::kTraining) return -1;
  if (name.item < 0 || name.item >= assign_.layer_bytes_size()) return -1;
  for (const net::StageInfo& info : assign_.stages()) {
    if (info.incarnation() != from || name.item < info.range().first() ||
        name.item >= info.range().last()) {
      continue;
    }
    return assign_.layer_bytes(name.item);
  }
  return -1;
}

}  // namespace ft
