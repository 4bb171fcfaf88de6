#pragma once

// Stage: the state machine of a node that runs a range of layers. Pure: step(event, now) -> actions
// (DESIGN 5). Central runs one too, for its own range, and talks to it by the same messages.
//
//   kJoining --Pause--> kPaused --Assign--> kMoving --configured--> kReady --Resume--> kTraining
//       ^                  ^___________________Pause of a newer term, from anywhere________|
//       |___ central is lost
//
// Order of compute (any order gives the same bits, see schedule.h): backward before evaluation
// before forward, each strictly in the order of batches and micro-batches; one task at a time.

#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "runtime/pipeline/schedule.h"
#include "runtime/pipeline/snapshot_store.h"
#include "runtime/pipeline/step.h"

namespace ft {

struct StageOptions {
  PeerId self = 0;
  net::Hello hello;  // numerics, memory, threads: what the inventory repeats
  TimeUs hello_interval_us = 200 * kMillisecondUs;
  TimeUs heartbeat_us = 250 * kMillisecondUs;
  TimeUs central_timeout_us = 10 * kSecondUs;  // silence after which central counts as gone
  bool beside_central = false;  // in central's own process: says no Hello, sends no heartbeats
};

class Stage {
 public:
  explicit Stage(const StageOptions& options);

  Actions step(const Event& event, TimeUs now);

  // The bytes of this transfer if the current term makes this stage wait for it from this peer, or
  // -1: asked before memory is allocated.
  int64_t expected_bytes(PeerId from, const BulkName& name) const;

  const SnapshotStore& snapshots() const { return store_; }

 private:
  enum class Phase : uint8_t { kJoining, kPaused, kMoving, kReady, kTraining, kFinished };
  using Micro = std::pair<int64_t, int32_t>;          // (batch, micro-batch)
  using Tensors = std::map<int32_t, ConstBufferPtr>;  // by ValueId
  struct Evaluation {
    Tensors inputs;
    ConstBufferPtr labels;
  };
  struct SnapshotDue {
    int32_t layer = 0;
    int64_t version = 0;
    bool to_central = false;
  };

  // Events
  void on_control(PeerId from, const net::Control& message, TimeUs now);
  void on_pause(PeerId from, const net::Control& message);
  void on_assign(const net::Assign& assign);
  void on_resume();
  void on_bulk(const BulkEvent& event);
  void on_task(const TaskResult& result);
  void on_configured(const TaskResult& result);
  void on_forward(const TaskResult& result);
  void on_step(const TaskResult& result);
  void on_evaluated(const TaskResult& result);
  void on_snapshot(const TaskResult& result);
  void on_tick(TimeUs now);

  // Replication
  void take_cut(bool to_central);
  void hold(const SnapshotKey& key, ConstBufferPtr bytes);
  void push(PeerId to, const SnapshotKey& key);
  void fetch(const net::Assign& assign);
  int64_t snapshot_bytes(PeerId from, const BulkName& name) const;
  PeerId ring_next() const;
  uint64_t term_of(int64_t version) const {
    return version <= place_.resumed_version ? assign_.resume_term() : term_;
  }

  // Compute
  void configure();
  void dispatch();
  bool start_backward();
  bool start_evaluation();
  bool start_forward();
  bool start_snapshot();
  void start(Task task);

  // Helpers
  void drop_work();
  bool has_range() const { return place_.stage >= 0; }
  int64_t tensor_bytes(const std::vector<int32_t>& ids, int32_t id) const;
  int64_t evaluation_label_bytes(int64_t index) const;
  int64_t micro_rows() const {
    return assign_.training().batch_size() / micro_count(assign_.training());
  }
  bool is_last() const { return place_.stage == place_.stages - 1; }
  PeerId previous() const;
  PeerId next() const;
  Micro after(Micro micro) const;
  std::vector<int64_t> cuts_kept() const;
  void send(PeerId to, net::Control message) {
    actions_.push_back(SendControl{to, std::move(message)});
  }
  void fail(const Status& status);

  StageOptions options_;
  Actions actions_;
  Phase phase_ = Phase::kJoining;
  TimeUs now_ = 0;
  TimeUs next_hello_ = 0;
  TimeUs next_heartbeat_ = 0;
  TimeUs central_heard_ = 0;

  SnapshotStore store_;  // survives every reconfiguration

  // Of the current term
  PeerId central_ = 0;
  RunId run_{};
  uint64_t term_ = 0;
  uint64_t left_term_ = 0;  // when central was given up
  net::Assign assign_;
  StagePlace place_{-1, 0, -1};
  std::vector<int32_t> inputs_;
  std::vector<int32_t> outputs_;
  std::vector<int32_t> received_gradients_;
  std::vector<int32_t> sent_gradients_;
  std::map<int32_t, int64_t> value_bytes_;
  int64_t label_row_bytes_ = 0;
  std::vector<int64_t> layer_bytes_;
  ConstBufferPtr model_;  // fetched, until configured
  bool model_wanted_ = false;
  std::map<SnapshotKey, net::Fetch> fetching_;

  // Work
  bool busy_ = false;  // the compute thread has a task, of this term or an older one
  bool configure_wanted_ = false;
  std::map<Micro, Tensors> arrived_inputs_;
  std::map<Micro, ConstBufferPtr> arrived_labels_;
  std::map<Micro, Tensors> arrived_gradients_;
  Micro next_forward_{0, 0};
  Micro next_backward_{0, 0};
  int in_flight_ = 0;      // forward done, backward not
  bool step_due_ = false;  // the last micro-batch's backward is done
  int64_t version_ = -1;   // newest version made
  std::map<std::pair<int64_t, int64_t>, Evaluation> evaluations_;  // by (cut, evaluation batch)
  std::set<int64_t> evaluated_;  // cuts whose evaluation central has finished
  std::deque<SnapshotDue> snapshots_due_;
  TimeUs busy_us_ = 0;
  uint64_t tasks_done_ = 0;
};

}  // namespace ft
