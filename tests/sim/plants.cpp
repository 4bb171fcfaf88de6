#include "tests/sim/plants.h"

#include <algorithm>
#include <map>
#include <set>

#include "net/control.h"
#include "tests/sim/process.h"

namespace ft::sim {
namespace {

// ---- Terms and identity ----

// What belongs to an older term counts as of the current one.
class SkipTermCheck : public Plant {
 public:
  void on_result(uint64_t term, uint64_t* result_term) override { *result_term = term; }
  void on_frame(uint64_t term, Frame* frame) override {
    if (frame->kind != 0) return;
    const std::span<const char> bytes(frame->head);
    Result<net::Control> message = decode_control(std::as_bytes(bytes));
    if (!message.ok() || !is_sequenced(*message) || message->has_pause()) return;
    if (message->term() >= term) return;
    message->set_term(term);
    frame->head = encode_control(*message);
  }
};

// A process that is started again calls itself what its predecessor did.
class ReuseIncarnation : public Plant {
 public:
  PeerId incarnation(PeerId drawn, PeerId before) override { return before != 0 ? before : drawn; }
};

// Every message that arrives is handled twice.
class DoubleDelivery : public Plant {
 public:
  int on_control(Process&, PeerId, net::Control* message) override {
    return message->has_batch_loss() || message->has_evaluation_loss() ? 2 : 1;
  }
};

// ---- State ----

// An executor begins with the initial optimizer state or running statistics instead of those of
// the snapshot it is given.
class ForgetState : public Plant {
 public:
  explicit ForgetState(bool statistics) : statistics_(statistics) {}
  void on_task(Process&, Task* task) override {
    if (task->kind != TaskKind::kConfigure) return;
    int layer = task->assign.stages(task->stage).range().first();
    for (ConstBufferPtr& snapshot : task->snapshots) {
      const LayerDigests initial = initial_state(layer++);
      LayerDigests state;
      if (snapshot == nullptr || !unwrap_state(*snapshot, &state)) continue;
      if (statistics_) state.statistics = initial.statistics;
      if (!statistics_) state.optimizer = initial.optimizer;
      snapshot = wrap_state(state, static_cast<int64_t>(snapshot->size()));
    }
  }

 private:
  bool statistics_;
};

// The paper's protocol: each layer goes on from the newest replica that is here.
class ResumeFromMixedVersions : public Plant {
 public:
  void on_task(Process& process, Task* task) override {
    if (task->kind != TaskKind::kConfigure || task->version < 0) return;
    int layer = task->assign.stages(task->stage).range().first();
    for (ConstBufferPtr& snapshot : task->snapshots) {
      for (const auto& [key, bytes] : process.core().stage()->snapshots().held()) {
        if (key.layer == layer && key.version > task->version) snapshot = bytes;
      }
      ++layer;
    }
  }
};

// The loader goes on where it was, whatever batch training resumes from.
class ForgetDataCursor : public Plant {
 public:
  void on_load(Load* load) override {
    if (load->kind != LoadKind::kTrain) return;
    if (load->micro == 0) ++cursor_;
    load->batch = cursor_;
  }

 private:
  int64_t cursor_ = -1;
};

// ---- Replication ----

// A replica is acknowledged when it comes, and stored a second later.
class AckBeforeStoring : public Plant {
 public:
  int on_bulk(Process& process, PeerId from, BulkHeader* header, const BufferPtr& bytes) override {
    if (header->name.kind != BulkKind::kSnapshot || process.is_central()) return 1;
    net::Control message;
    net::SnapshotName* name = message.mutable_snapshot_stored()->mutable_snapshot();
    name->set_layer(header->name.item);
    name->set_version(header->name.version);
    name->set_term(header->name.origin_term);
    process.core().transport()->send(process.central(), std::move(message));
    process.later(kSecondUs, [&process, from, header = *header, bytes] {
      process.handle_bulk(from, header, bytes);
    });
    return 0;
  }
};

// A device may delete what is older as soon as its own layers of a cut are acknowledged twice.
class ReleaseOnTwoAcks : public Plant {
 public:
  int on_control(Process& process, PeerId from, net::Control* message) override {
    if (!process.is_central() || !message->has_snapshot_stored()) return 1;
    const net::SnapshotName& name = message->snapshot_stored().snapshot();
    const SnapshotKey key{name.version(), name.layer(), name.term()};
    acks_[key].insert(from);
    owners_.emplace(key, from);  // who stores it first runs the layer
    const PeerId owner = owners_.at(key);
    if (acks_[key].size() < 2 || released_[owner] >= key.version) return 1;
    for (const auto& [other, peer] : owners_) {
      if (peer != owner || other.version != key.version) continue;
      if (acks_[other].size() < 2) return 1;
    }
    released_[owner] = key.version;
    net::Control release;
    release.mutable_release()->set_version(key.version);
    process.core().transport()->send(owner, std::move(release));
    return 1;
  }

 private:
  std::map<SnapshotKey, std::set<PeerId>> acks_;
  std::map<SnapshotKey, PeerId> owners_;
  std::map<PeerId, int64_t> released_;
};

// Snapshots of a history that was rolled back count as those of the one that holds: inventories
// say so, and who holds one gives it away under the name that is asked for.
class AcceptVoidSnapshot : public Plant {
 public:
  int on_control(Process& process, PeerId from, net::Control* message) override {
    if (message->has_inventory() && process.is_central()) {
      const net::Record& told = message->inventory().record();
      const bool newer = newest_term(told) > newest_term(process.journaled());
      const net::Record& record = newer ? told : process.journaled();
      for (net::SnapshotName& name : *message->mutable_inventory()->mutable_snapshots()) {
        name.set_term(term_of_version(record, name.version()));
      }
    } else if (message->has_fetch_snapshot()) {
      net::SnapshotName* name = message->mutable_fetch_snapshot()->mutable_snapshot();
      asked_[{from, name->version(), name->layer()}] = name->term();
      name->set_term(term_held(process, name->version(), name->layer(), name->term()));
    }
    return 1;
  }
  int on_bulk(Process& process, PeerId, BulkHeader* header, const BufferPtr&) override {
    rename(process, header);
    return 1;
  }
  void on_expected(Process& process, BulkHeader* header) override { rename(process, header); }
  void on_task(Process& process, Task* task) override {
    if (task->kind != TaskKind::kConfigure || task->version < 0) return;
    int layer = task->assign.stages(task->stage).range().first();
    for (ConstBufferPtr& snapshot : task->snapshots) {
      const uint64_t term = term_held(process, task->version, layer, 0);
      const SnapshotStore& store = process.core().stage()->snapshots();
      if (snapshot == nullptr) snapshot = store.find({task->version, layer, term});
      ++layer;
    }
  }

 private:
  static uint64_t newest_term(const net::Record& record) {
    const int entries = record.entries_size();
    return entries == 0 ? 0 : record.entries(entries - 1).term();
  }
  static uint64_t term_held(Process& process, int64_t version, int layer, uint64_t wanted) {
    uint64_t term = wanted;
    for (const auto& [key, bytes] : process.core().stage()->snapshots().held()) {
      if (key.version != version || key.layer != layer) continue;
      if (key.term == wanted) return wanted;
      term = key.term;
    }
    return term;
  }
  void rename(Process& process, BulkHeader* header) const {
    if (header->name.kind != BulkKind::kSnapshot) return;
    const auto found = asked_.find({process.self(), header->name.version, header->name.item});
    if (found != asked_.end()) header->name.origin_term = found->second;
  }
  std::map<std::tuple<PeerId, int64_t, int>, uint64_t> asked_;
};

// ---- Disk ----

// Central does not know of its checkpoint when it is started again, and nobody tells it.
class ResumeBelowCheckpoint : public Plant {
 public:
  void on_resume(CentralOptions* central, StageOptions* own) override {
    central->restart.checkpoint = -1;
    own->store = SnapshotStore();
  }
  int on_control(Process&, PeerId, net::Control* message) override {
    if (message->has_inventory()) message->mutable_inventory()->set_checkpoint_batches(0);
    return 1;
  }
};

// The journal is synced long after central has gone on.
class UnsyncedJournal : public Plant {
 public:
  bool acknowledges_unsynced_journal() const override { return true; }
};

class UnsyncedCheckpoint : public Plant {
 public:
  bool acknowledges_unsynced_checkpoint() const override { return true; }
};

class CheckpointInPlace : public Plant {
 public:
  bool writes_checkpoint_in_place() const override { return true; }
};

template <typename P, auto... Arguments>
std::unique_ptr<Plant> make() {
  return std::make_unique<P>(Arguments...);
}

}  // namespace

const std::vector<PlantInfo>& plants() {
  static const std::vector<PlantInfo> kPlants = {
      {"skip_term_check", "messages and results of an older term count as of the current one",
       make<SkipTermCheck>},
      {"forget_optimizer_state", "a snapshot is loaded without its optimizer state",
       make<ForgetState, false>},
      {"forget_running_statistics", "a snapshot is loaded without its running statistics",
       make<ForgetState, true>},
      {"forget_data_cursor", "after a rollback the data go on where they were",
       make<ForgetDataCursor>},
      {"ack_before_storing", "a replica is acknowledged before it is stored",
       make<AckBeforeStoring>},
      {"release_on_two_acks", "a device deletes when its own layers are acknowledged twice",
       make<ReleaseOnTwoAcks>},
      {"accept_void_snapshot", "snapshots of a rolled-back history count",
       make<AcceptVoidSnapshot>},
      {"resume_from_mixed_versions", "each layer resumes from its newest replica",
       make<ResumeFromMixedVersions>},
      {"reuse_incarnation", "a restarted process takes its predecessor's incarnation",
       make<ReuseIncarnation>},
      {"double_delivery", "losses that arrive are handled twice", make<DoubleDelivery>},
      {"resume_below_checkpoint", "a restarted central ignores checkpoints",
       make<ResumeBelowCheckpoint>},
      {"unsynced_journal", "the journal is synced after central was told so",
       make<UnsyncedJournal>},
      {"unsynced_checkpoint", "a checkpoint is synced after central was told so",
       make<UnsyncedCheckpoint>},
      {"checkpoint_in_place", "a checkpoint is written over the one before",
       make<CheckpointInPlace>},
  };
  return kPlants;
}

std::unique_ptr<Plant> make_plant(const std::string& name) {
  for (const PlantInfo& plant : plants()) {
    if (name == plant.name) return plant.make();
  }
  return nullptr;
}

}  // namespace ft::sim
