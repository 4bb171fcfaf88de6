#pragma once

// Central: the state machine of the node that owns the data and decides. Pure: step(event, now) ->
// actions (DESIGN 5). docs/recovery.md walks through it.
//
// There is one reconfiguration path (DESIGN 4): begin() -> pause() -> choose() -> seal() ->
// resume(). Start, join, leave, failure and restart all go through it; whatever goes wrong on the
// way begins it again with a higher term.
//
//   kWaiting --enough devices--> kOpening --term journaled--> kPausing --all inventories--> kMoving
//                                  ^            (kMeasuring: devices that are new)      |all ready
//                                  |____ a device lost, at any moment _______       kSealing
//                                  |____ kDraining <--join, leave-- kTraining <--record journaled
//                                                                     all batches done |
//                                     kDone <--synced-- kStoring <--snapshots-- kCollecting
//
// A run is finished when its last state is on the synced disk. Before that nobody is told to let go
// of anything, however central ends.

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "net/detector.h"
#include "partition/planner.h"
#include "partition/speed.h"
#include "runtime/pipeline/cut_book.h"
#include "runtime/pipeline/cut_interval.h"
#include "runtime/pipeline/membership.h"
#include "runtime/pipeline/schedule.h"
#include "runtime/pipeline/step.h"

namespace ft {

// What is known of a run that goes on after central's end: from its directory, as far as that is
// left. Without a run id central takes that of the first stage that holds a run.
struct Restart {
  bool resume = false;
  bool holders_may_come = true;  // stages that were there before central's end
  uint64_t term = 0;             // the newest in the journal
  net::Record record;
  int64_t checkpoint = -1;  // the version that the own stage was given from disk
  int64_t finished = -1;    // the newest batch that was reported of the history trained last
  int64_t reported = -1;    // ... of any, and the newest evaluated cut
  int64_t evaluated = -1;
};

// kEven: all devices count as equal; kFixed: `cuts`; kDynamic: by measured times.
enum class Partition : uint8_t { kEven, kFixed, kDynamic };

// When a better plan is worth a move.
struct RepartitionLimits {
  TimeUs every_us = 2 * kSecondUs;  // a plan is looked for that often, or when a speed has shifted
  // What it must promise, relative: more than `errors` times what a stage's speed is uncertain by,
  // and at least gain_min, twice as much after each one in the last minute. Noise promises little,
  // a device that has really changed promises much.
  double gain_min = 0.02;
  double errors = 3;
  // A greater one is taken at once. A smaller one must have been there for `looks` in a row: what
  // else runs on a device comes and goes.
  double gain_at_once = 0.1;
  int looks = 3;
  // And it must save that many times what the move costs within the horizon: nobody knows that
  // speeds stay for longer.
  double pays = 2;
  TimeUs horizon_us = 60 * kSecondUs;
  // The pipeline fills and caches warm up: the first batches of a term say nothing about speed.
  int64_t first_batches = 5;
};

struct CentralOptions {
  PeerId self = 0;
  std::string name;
  RunId run{};
  Restart restart;
  net::Training training;
  bool replicate_auto = false;  // training.replicate_every is a start value
  int workers = 1;              // stages to wait for, besides central's own
  bool alone = false;           // and nobody can join
  Partition partition = Partition::kEven;
  std::string cuts;                  // "3,9" for kFixed
  std::vector<double> layer_costs;   // one per layer, any unit: also says how many there are
  std::vector<int64_t> layer_bytes;  // of each layer's snapshot
  // What the planner needs (partition/planner.h); with a partition other than kDynamic only sizes,
  // and these only when a device's memory has a limit.
  std::vector<LayerSize> layer_sizes;
  std::vector<CutSize> cut_sizes;
  RangeBytes range_bytes;                                             // null: by layer_sizes
  std::function<ProcessSize(const net::Hello& device)> process_size;  // a stage's; null: nothing
  ProcessSize own_process;                                            // central's
  int64_t memory_bytes = 0;                                           // central's own; 0: no limit
  std::vector<double> layer_us;                                       // as central measured itself
  CpuMeasure cpu;
  RepartitionLimits repartition;
  // For comparisons, ResPipe's rule: the neighbour takes all layers of a lost device, nothing is
  // planned again.
  bool neighbour_takes_over = false;
  int32_t model_input = 0;       // ValueId
  std::string model_sha256;      // 32 raw bytes
  ConstBufferPtr model;          // the file, for stages that lack it
  std::string discard_run;       // 16 raw bytes: a run that stages shall forget; or empty
  std::string control_endpoint;  // our own, for stages to answer to
  std::string bulk_endpoint;
  TimeUs failure_timeout_us = kSecondUs;
  TimeUs heartbeat_us = 250 * kMillisecondUs;
};

// The last checkpoint is tried again that often, for so long: until there is room on the disk.
constexpr TimeUs kStoreAgainUs = kSecondUs;
constexpr TimeUs kStoreUs = 60 * kSecondUs;

// How long a run that has got somewhere waits for those who hold parts of it.
constexpr TimeUs kGatherUs = 10 * kSecondUs;

class Central {
 public:
  explicit Central(const CentralOptions& options);

  Actions step(const Event& event, TimeUs now);

  // Not enough devices have joined yet.
  bool is_waiting() const { return phase_ == Phase::kWaiting; }

 private:
  // In the order in which a run goes through them.
  enum class Phase : uint8_t {
    kWaiting,
    kOpening,
    kPausing,
    kMeasuring,
    kMoving,
    kSealing,
    kTraining,
    kDraining,
    kCollecting,
    kStoring,
    kDone
  };
  struct BatchSum {
    double loss_sum = 0;
    int64_t rows = 0;
    int64_t correct = 0;
    int32_t micros = 0;
  };
  struct EvaluationSum {
    int64_t version = 0;
    int64_t next_load = 0;
    int64_t done = 0;
    double loss_sum = 0;
    int64_t rows = 0;
    int64_t correct = 0;
  };

  // Membership: central_members.cpp
  void on_hello(PeerId from, const net::Hello& hello);
  bool refuse_foreign_run(PeerId from, const net::Hello& hello);
  void answer_stranger(PeerId from, const net::Hello& hello, net::Control answer);
  void on_heartbeat(PeerId from, const net::Control& message);
  void on_superseded();
  void on_unreachable(PeerId from, PeerId peer);
  void find_losses();
  TimeUs answer_time() const;
  struct Lost {
    bool members = false;  // of this term
    bool stages = false;   // of which some had layers
  };
  Lost lose(PeerId peer, const std::string& cause, TimeUs silent_us);
  Lost lose_predecessor(const net::Hello& hello);
  void go_on_without(const Lost& lost);
  bool admit(PeerId from, const net::Hello& hello);
  void admit_and_dismiss();
  void drain(const std::string& reason);
  void maybe_drained();
  void maybe_dismiss();

  // The one reconfiguration path: central_reconfigure.cpp
  void begin(const std::string& reason);
  void pause();
  void on_inventory(PeerId from, const net::Inventory& inventory);
  void choose();
  int64_t choose_version(int64_t floor) const;
  bool must_gather();
  std::string missing_text(int64_t version) const;
  void wait_for_layers(int64_t version);
  void wait_for_room(const Status& status);
  struct Row {  // devices and their ranges, in pipeline order
    std::vector<PeerId> devices;
    std::vector<LayerRange> ranges;
  };
  Result<Row> solve();
  Result<Row> solve_equal();
  Result<std::vector<LayerRange>> equal_ranges(size_t devices) const;
  Row solve_takeover() const;
  std::vector<PeerId> order() const;
  void assign(const Row& row);
  void add_fetch(PeerId peer, int layer, net::Assign* assign);
  void add_fetches(PeerId peer, const LayerRange& range, net::Assign* assign,
                   std::set<int>* relayed);
  void add_replicas(const std::vector<PeerId>& ring, size_t place, const LayerRange& range,
                    net::Assign* assign) const;
  bool reaches(PeerId a, PeerId b) const;
  bool has_room(PeerId peer, const LayerRange& range) const;
  void on_ready(PeerId from);
  void resume();
  void lap(TimeUs* phase);

  // Planning: central_planning.cpp
  bool is_dynamic() const { return options_.partition == Partition::kDynamic; }
  bool must_measure() const;
  void measure(PeerId peer, bool again);
  void measure_first();
  void measure_waiting();
  void on_measured(PeerId from, const net::Measured& measured);
  std::vector<PeerId> planned_devices() const;
  PlanRequest plan_request(const std::vector<PeerId>& devices) const;
  Result<Row> solve_dynamic();
  size_t find_small(const Row& row) const;
  ProcessSize process_size(PeerId peer, const Device& device) const;
  int64_t process_bytes(PeerId peer, const Device& device, const LayerRange& range,
                        int in_flight) const;
  void note_room(const PlanRequest& request, const std::vector<PeerId>& devices, const Row& row);
  Plan predict_now(const PlanRequest& request, const std::vector<PeerId>& devices) const;
  void note_link(PeerId from, const net::LinkSpeed& link);
  double replica_bytes_per_us(const std::vector<PeerId>& devices) const;
  LinkCost link_cost(PeerId from, PeerId to) const;
  void note_speed(Device* device, PeerId peer, const net::Progress& progress);
  void note_shift(double shift);
  void maybe_repartition();
  double uncertainty(const Plan& plan, const std::vector<PeerId>& devices) const;
  bool pays(const Plan& now, const Plan& plan, const std::vector<PeerId>& devices) const;
  void check_prediction();
  double images_per_second(double batch_us) const;

  // Training: central_training.cpp
  void feed();
  void on_load(const LoadResult& result);
  void on_batch_loss(const net::BatchLoss& loss);
  void on_progress(PeerId from, const net::Progress& progress);
  void finish_batches();
  void feed_evaluation();
  void on_evaluation_loss(const net::EvaluationLoss& loss);
  void maybe_collect();
  void on_traffic(PeerId from, const net::Traffic& traffic);
  void maybe_complete();
  void store();
  void complete();
  void adapt_cuts();

  // Cuts: central_cuts.cpp
  void on_stored(PeerId from, const net::SnapshotStored& stored);
  void on_checkpoint(const CheckpointWrittenEvent& written);
  void review();
  void release();
  int64_t newest_allowed() const;
  int64_t next_evaluation() const;
  int64_t checkpoint_at(int64_t version) const;

  // Helpers: central.cpp
  void on_control(PeerId from, const net::Control& message);
  void on_training_message(PeerId from, const net::Control& message);
  void on_interrupt();
  void on_tick();
  void wait_for_run();
  void beat();
  PeerId first_stage() const { return stages_.front().incarnation; }
  PeerId last_stage() const { return stages_.back().incarnation; }
  bool is_stage(PeerId peer) const;
  int64_t slowest_version() const;
  int layer_count() const { return static_cast<int>(options_.layer_costs.size()); }
  void send(PeerId to, net::Control message) {
    actions_.push_back(SendControl{to, std::move(message)});
  }
  void send_all(const net::Control& message);
  void send_bulk(PeerId to, const BulkName& name, ConstBufferPtr bytes);
  void tell(Report report) { actions_.push_back(Tell{std::move(report)}); }
  void stop(const Status& status);

  CentralOptions options_;
  Actions actions_;
  TimeUs now_ = 0;
  Phase phase_ = Phase::kWaiting;
  FaultDetector detector_;
  TimeUs next_heartbeat_ = 0;

  Membership members_;
  std::set<PeerId> told_foreign_;       // stages of other runs that were reported
  std::map<PeerId, TimeUs> strangers_;  // connected to be refused; until when
  uint64_t term_ = 0;
  uint64_t seen_term_ = 0;            // the highest that any device has named
  std::vector<DeviceReport> stages_;  // of this term, in pipeline order
  int64_t resumed_version_ = -1;

  // The reconfiguration under way
  std::string reason_;
  Phases phases_;
  TimeUs lap_from_ = 0;
  TimeUs paused_at_ = 0;
  bool waiting_for_layers_ = false;
  std::string waiting_text_;  // what was told
  int64_t moved_bytes_ = 0;
  BegunAgainReport lost_cut_;          // version -1: none
  int64_t inventory_checkpoint_ = -1;  // the newest that any inventory names
  // Pairs (smaller, larger) that do not reach each other: of this term; by the inventories so far.
  std::set<std::pair<PeerId, PeerId>> unreachable_;
  std::set<std::pair<PeerId, PeerId>> unreachable_now_;

  CutBook book_;
  int64_t complete_ = -1;          // newest complete cut that training may resume from
  int64_t checkpoint_ = -1;        // newest version that was sent to the disk
  std::set<int64_t> checkpoints_;  // synced, and held by central's own stage

  // Planning
  PlanReport plan_;  // of this term; without devices: not planned
  std::map<std::pair<PeerId, PeerId>, LinkCost> links_;  // (from, to), as far as known
  TimeUs plan_again_at_ = 0;                             // look for a better plan then
  bool speeds_shifted_ = false;                          // ... or now
  std::map<PeerId, int64_t> room_;  // bytes that the plan leaves free, where that is limited
  double gain_wanted_ = 0;          // what a new plan must promise: more after each
  TimeUs calm_at_ = 0;              // half as much from then on
  int looks_paid_ = 0;              // at which a new plan promised it, in a row
  TimeUs jump_again_at_ = 0;
  TimeUs last_move_us_ = 0;      // the last time that layers moved
  int64_t prediction_from_ = 0;  // batch from which on a prediction is compared; 0: was told
  TimeUs prediction_at_ = 0;

  // Training
  int64_t batches_ = 0;     // stop after that many; an interrupt lowers it
  int64_t next_batch_ = 0;  // to load
  int32_t next_micro_ = 0;
  int loads_ = 0;               // under way
  int64_t finished_ = -1;       // newest batch that every stage has stepped and whose loss is in
  int64_t finished_ever_ = -1;  // in any term
  bool reported_known_ = true;  // after a restart only once training has resumed
  TimeUs gather_until_ = -1;
  int told_waiting_ = 0;      // stages that were here when waiting for a run was told
  bool gathered_ = false;     // that time is over
  bool from_stages_ = false;  // the run was begun elsewhere: nothing of it is in the directory
  std::map<int64_t, BatchSum> sums_;
  std::deque<EvaluationSum> evaluations_;  // cuts whose evaluation is due or under way
  int64_t evaluated_ = -1;                 // newest cut whose evaluation is done
  std::string drain_reason_;               // not empty: no batch is begun
  bool leaving_seen_ = false;              // this term's ranges leave out those who leave
  CutInterval cut_interval_;
  net::Traffic traffic_;
  bool interrupted_ = false;

  // Storing
  TimeUs store_again_at_ = -1;  // -1: it is being written
  TimeUs store_until_ = 0;
  Status store_failure_;  // the first
};

}  // namespace ft
