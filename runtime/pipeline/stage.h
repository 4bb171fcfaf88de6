#pragma once

// Stage: the state machine of a node that runs a range of layers. Pure: step(event, now) -> actions
// (DESIGN 5). Central runs one too, for its own range, and talks to it by the same messages.
//
//   kJoining --Pause--> kPaused --Assign--> kMoving --configured--> kReady --Resume--> kTraining
//                          ^___________________Pause of a newer term, from anywhere________|
//
// A stage that hears nothing of central keeps what it holds, says Hello again, and follows whoever
// sends the next Pause of its run: the same central, or one that goes on with the run.
//
// Order of compute (any order gives the same bits, see schedule.h): backward before evaluation
// before forward, each strictly in the order of batches and micro-batches; one task at a time.

#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "net/detector.h"
#include "partition/speed.h"
#include "runtime/pipeline/schedule.h"
#include "runtime/pipeline/snapshot_store.h"
#include "runtime/pipeline/step.h"

namespace ft {

struct StageOptions {
  PeerId self = 0;
  net::Hello hello;  // numerics, memory, threads: what the inventory repeats
  TimeUs hello_interval_us = 200 * kMillisecondUs;
  bool beside_central = false;  // in central's own process: says no Hello, sends no heartbeats
  // Central's own: what its disk holds of the run it goes on with, and how it was measured.
  SnapshotStore store;
  std::vector<double> layer_us;
  double work_per_us = 0;
  CpuMeasure cpu;
};

// A stage that holds nothing of its run goes to any central when its own has been silent that long.
constexpr TimeUs kForgetUs = 3 * kSecondUs;

// One that was asked to leave waits that long for a central that is silent to take over what it
// holds.
constexpr TimeUs kLeaveUs = 10 * kSecondUs;

// Where nothing before a cut trains, no gradient crosses it. This one, which holds nothing, crosses
// instead: the stage before would run ahead of what the next one takes.
constexpr int32_t kNoGradient = INT32_MAX;  // no value of any model
constexpr int64_t kNoGradientBytes = 4;

class Stage {
 public:
  explicit Stage(const StageOptions& options);

  Actions step(const Event& event, TimeUs now);

  // The bytes of this transfer if the current term makes this stage wait for it from this peer, or
  // -1: asked before memory is allocated.
  int64_t expected_bytes(PeerId from, const BulkName& name) const;

  const SnapshotStore& snapshots() const { return store_; }
  // 0: it follows no central and holds nothing.
  uint64_t term() const { return term_; }
  StageView view() const;

 private:
  enum class Phase : uint8_t { kJoining, kPaused, kMoving, kReady, kTraining, kFinished };
  using Micro = std::pair<int64_t, int32_t>;          // (batch, micro-batch)
  using Tensors = std::map<int32_t, ConstBufferPtr>;  // by ValueId
  struct Evaluation {
    Tensors inputs;
    ConstBufferPtr labels;
  };
  enum class Reach : uint8_t { kSelf, kSuccessor, kCentral };  // each includes those before it
  struct SnapshotDue {
    int32_t layer = 0;
    int64_t version = 0;
    Reach reach = Reach::kSelf;
  };

  // Events
  void on_control(PeerId from, const net::Control& message);
  void on_refuse(const net::Control& message);
  void on_central(const net::Control& message);
  void on_heartbeat(PeerId from, const net::Control& message);
  void tell_leader(PeerId to, uint64_t term);
  void on_pause(PeerId from, const net::Control& message);
  void answer_pause();
  void on_assign(const net::Assign& assign);
  void on_resume();
  void on_bulk(const BulkEvent& event);
  void on_task(const TaskResult& result);
  void on_configured(const TaskResult& result);
  void on_forward(const TaskResult& result);
  void send_gradients(const TaskResult& result);
  void on_step(const TaskResult& result);
  void on_evaluated(const TaskResult& result);
  void on_snapshot(const TaskResult& result);
  void on_tick();
  void on_interrupt();

  // Membership
  bool is_central_silent() const;
  bool holds_run() const { return run_ != RunId{} && !store_.held().empty(); }
  std::string run_bytes() const { return std::string(run_.begin(), run_.end()); }
  bool is_own_run(const net::Control& message) const { return message.run() == run_bytes(); }
  void knock();
  void beat();
  void watch_peers();
  void forget_run();
  void end_without_central();

  // Replication: stage_replication.cpp
  void take_cut(Reach reach);
  void hold(const SnapshotKey& key, ConstBufferPtr bytes);
  void push(PeerId to, const SnapshotKey& key);
  void fetch(const net::Assign& assign);
  bool has_all() const;
  void on_fetch_snapshot(PeerId from, const SnapshotKey& key);
  void on_snapshot_arrived(const BulkEvent& event);
  void on_release(const net::Release& release);
  int64_t snapshot_bytes(PeerId from, const BulkName& name) const;
  uint64_t term_of(int64_t version) const {
    return version <= place_.resumed_version ? assign_.resume_term() : term_;
  }

  // Measuring: stage_measure.cpp
  void want_model(PeerId from, const std::string& sha256, int64_t bytes);
  void on_measure(const net::Measure& measure);
  bool start_measure();
  void on_measured(const TaskResult& result);
  void tell_measured();

  // Compute
  void configure();
  void dispatch();
  bool start_step();
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

  // Of the run: survives every reconfiguration, and central's end
  SnapshotStore store_;
  net::Record record_;
  int64_t checkpoint_batches_ = 0;  // in the newest checkpoint that central has told of
  std::set<PeerId> centrals_;       // that have led it
  bool leaving_ = false;

  // Of the current term
  PeerId central_ = 0;
  RunId run_{};
  uint64_t term_ = 0;
  net::Assign assign_;
  StagePlace place_{-1, 0, -1};
  std::vector<int32_t> inputs_;
  std::vector<int32_t> outputs_;
  std::vector<int32_t> received_gradients_;
  std::vector<int32_t> sent_gradients_;
  std::map<int32_t, int64_t> value_bytes_;
  int64_t label_row_bytes_ = 0;
  ConstBufferPtr model_;  // fetched, until the compute thread has it
  bool model_wanted_ = false;
  PeerId model_from_ = 0;
  int64_t model_bytes_ = 0;
  std::map<SnapshotKey, net::Fetch> fetching_;
  std::map<SnapshotKey, std::set<PeerId>> relays_;  // asked of us before it arrived here
  FaultDetector peers_;                             // the other members, central excepted
  std::set<PeerId> unreachable_;                    // of these, and not heard since
  int64_t cut_from_ = 0;
  int64_t cut_every_ = 0;  // from that version on; 0: as it is

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
  int64_t evaluated_ = -1;  // cuts up to it need no evaluation, by central's word in this term
  std::deque<SnapshotDue> snapshots_due_;
  TimeUs busy_us_ = 0;
  TimeUs awake_us_ = 0;     // of it
  TimeUs train_us_ = 0;     // of it, in passes and steps since training resumed
  TimeUs snapshot_us_ = 0;  // likewise
  TimeUs train_cpu_us_ = 0;
  TimeUs measure_cpu_us_ = 0;  // ever
  uint64_t tasks_done_ = 0;
  TimeUs task_since_ = 0;
  TimeUs longest_us_ = 0;

  // How long each layer takes here: of the run, like what is held
  struct Probe {
    double work = 0;
    double cpu_us = 0;  // that it took
    double pauses_us = 0;
    double pauses_us2 = 0;
    TimeUs process_cpu_from = 0;  // after the first piece
    TimeUs awake_from = 0;
    TimeUs busy_from = 0;
  };
  net::Training measured_for_;
  int layers_known_ = -1;          // of the model; -1: none was measured yet
  std::vector<double> layers_us_;  // in CPU time, of the layers measured so far
  std::vector<float> layer_us_;    // once all are
  double work_per_us_ = 0;         // of the CPU, then
  CpuMeasure cpu_;
  net::Measure measure_;  // of this term
  bool measures_ = false;
  Probe probe_;  // for it
};

}  // namespace ft
