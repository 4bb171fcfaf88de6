#pragma once

// Central: the state machine of the node that owns the data and decides. Pure: step(event, now) ->
// actions (DESIGN 5).
//
// There is one reconfiguration path (DESIGN 4), begin() -> choose() -> resume(), and everything
// that changes the members or their ranges goes through it; whatever goes wrong on the way begins
// it again with a higher term.
//
//   kWaiting --enough stages--> kPausing --all inventories--> kMoving --all ready--> kJournal
//                                  ^                                                    |written
//                                  |____ a device lost, at any moment ____________  kTraining
//                                                                     all batches done  |
//                                                            kDone <--snapshots-- kCollecting

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "net/detector.h"
#include "runtime/pipeline/schedule.h"
#include "runtime/pipeline/snapshot_store.h"
#include "runtime/pipeline/step.h"

namespace ft {

struct CentralOptions {
  PeerId self = 0;
  std::string name;
  RunId run{};
  net::Training training;
  int workers = 1;                   // stages to wait for, besides central's own
  std::string cuts;                  // "3,9" for --partition fixed; empty: planned
  std::vector<double> layer_costs;   // one per layer: also says how many there are
  std::vector<int64_t> layer_bytes;  // of each layer's snapshot
  int32_t model_input = 0;           // ValueId
  std::string model_sha256;          // 32 raw bytes
  ConstBufferPtr model;              // the file, for stages that lack it
  std::string control_endpoint;      // our own, for stages to answer to
  std::string bulk_endpoint;
  TimeUs failure_timeout_us = kSecondUs;
  TimeUs heartbeat_us = 250 * kMillisecondUs;
};

class Central {
 public:
  explicit Central(const CentralOptions& options);

  Actions step(const Event& event, TimeUs now);

  // Not enough stages have joined yet.
  bool is_waiting() const { return phase_ == Phase::kWaiting; }

 private:
  enum class Phase : uint8_t {
    kWaiting,
    kPausing,
    kMoving,
    kJournal,
    kTraining,
    kCollecting,
    kDone
  };

  struct Device {
    net::Hello hello;
    int joined = 0;         // order of joining; central's own is first
    bool member = false;    // of this term; others wait to become one
    bool answered = false;  // inventory or ready, whichever the phase waits for
    std::string numerics;
    int64_t version = -1;  // newest version its stage has made
    TimeUs busy_us = 0;
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

  // Membership
  void on_control(PeerId from, const net::Control& message);
  void on_hello(PeerId from, const net::Control& message);
  // Returns whether it was a member of this term.
  bool on_lost(PeerId peer, const std::string& cause);
  void on_interrupt();
  void on_tick();

  // The one reconfiguration path
  void begin(const std::string& reason);
  void on_inventory(PeerId from, const net::Inventory& inventory);
  int64_t choose_version() const;
  std::string missing_layers(int64_t version) const;
  void add_fetches(PeerId peer, const LayerRange& range, net::Assign* assign) const;
  void choose();
  Result<std::vector<LayerRange>> solve(size_t devices) const;
  void on_ready(PeerId from);
  void resume();

  // Training
  void feed();
  void on_load(const LoadResult& result);
  void on_batch_loss(const net::BatchLoss& loss);
  void on_progress(PeerId from, const net::Progress& progress);
  void finish_batches();
  void feed_evaluation();
  void on_evaluation_loss(const net::EvaluationLoss& loss);
  void maybe_collect();

  // Cuts
  void on_stored(PeerId from, const net::SnapshotStored& stored);
  bool held_by(const SnapshotKey& key, PeerId peer) const;
  bool is_whole_at(PeerId peer, int64_t version) const;
  bool is_complete(int64_t version) const;
  void release();
  void on_checkpoint_written(int64_t version);
  uint64_t term_of(int64_t version) const { return term_of_version(record_, version); }
  int64_t newest_allowed() const;
  int64_t checkpoint_at(int64_t version) const;
  void on_traffic(PeerId from, const net::Traffic& traffic);
  void maybe_complete();

  // Helpers
  bool all_answered() const;
  void expect_answers();
  std::vector<PeerId> in_order() const;
  PeerId first_stage() const { return stages_.front().incarnation; }
  PeerId last_stage() const { return stages_.back().incarnation; }
  int64_t slowest_version() const;
  bool is_stage(PeerId peer) const;
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

  std::map<PeerId, Device> devices_;  // members and those waiting to become one
  int joined_ = 0;
  uint64_t term_ = 0;
  std::string reason_;
  TimeUs began_us_ = 0;
  std::vector<DeviceReport> stages_;  // of this term, in pipeline order
  int64_t resumed_version_ = -1;
  net::Record record_;

  // Who holds which snapshot: from inventories and acknowledgements of this term.
  std::map<SnapshotKey, std::set<PeerId>> holders_;
  int64_t complete_ = -1;          // newest complete cut
  int64_t checkpoint_ = -1;        // newest version that was sent to the disk
  std::set<int64_t> checkpoints_;  // synced, and held by central's own stage

  // Training
  int64_t batches_ = 0;     // stop after that many; an interrupt lowers it
  int64_t next_batch_ = 0;  // to load
  int32_t next_micro_ = 0;
  int loads_ = 0;               // under way
  int64_t finished_ = -1;       // newest batch that every stage has stepped and whose loss is in
  int64_t finished_ever_ = -1;  // in any term
  std::map<int64_t, BatchSum> sums_;
  std::deque<EvaluationSum> evaluations_;  // cuts whose evaluation is due or under way
  int64_t evaluated_ = -1;                 // newest cut whose evaluation is done
  net::Traffic traffic_;
  bool interrupted_ = false;
};

}  // namespace ft
