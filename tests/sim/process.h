#pragma once

// Process: one node of the simulated cluster: the real NodeCore and Transport, driven as
// reactor.cpp drives them; compute, data and disk are fakes that answer after a while. A paused
// process does nothing until it is woken; a dead one keeps its place here, empty.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/node/node_core.h"
#include "tests/sim/cpu.h"
#include "tests/sim/fake_executor.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/surroundings.h"
#include "tests/sim/task_times.h"

namespace ft::sim {

struct ProcessOptions {
  std::string name;
  int host = 0;
  int device = 0;  // 0: central's
  PeerId self = 0;
  uint64_t serial = 0;  // what the checkers know it by
  std::string listen;
  bool has_model = true;
};

struct TimedReport {
  TimeUs at = 0;
  Report report;
};

struct CentralSetup {
  SimDisk* disk = nullptr;
  ReportChecker* reports = nullptr;
  bool resume = false;
  int workers = 1;
};

class Process : public Outside, public TransportHandler {
 public:
  Process(Surroundings* surroundings, const ProcessOptions& options);
  ~Process() override;

  void run_stage(const std::string& central_endpoint);
  void run_central(const CentralSetup& setup);

  // Faults. `silent`: its machine loses power.
  void kill(bool silent);
  void pause();
  void wake();
  void interrupt();
  void set_slowness(int factor) { task_times_.set_slowness(factor); }

  const std::string& name() const { return options_.name; }
  int host() const { return options_.host; }
  PeerId self() const { return options_.self; }
  bool is_central() const { return setup_.disk != nullptr; }
  bool is_running() const { return core_ != nullptr && !ended_; }
  bool is_paused() const { return net_->paused; }
  TimeUs woken_at() const { return woken_at_; }  // or started
  TimeUs started_at() const { return started_at_; }
  // Central: when it took a term or resumed for the last time, or -1; and whom it has heard,
  // those that it has lost excepted.
  TimeUs led_at() const { return led_at_; }
  const std::set<PeerId>& contacts() const { return contacts_; }
  bool was_killed() const { return killed_; }
  bool was_interrupted() const { return interrupted_; }
  // It came to its end by itself, with this status.
  bool has_ended() const { return status_known_; }
  const Status& status() const { return status_; }
  // Central's: what it has written to its journal last, synced or not.
  const net::Record& journaled() const { return *record_; }
  SimDisk* disk() const { return setup_.disk; }
  ReportChecker* reports() const { return setup_.reports; }
  // Central's, when the run is done: null before.
  const Complete* complete() const { return complete_ ? &*complete_ : nullptr; }
  const std::vector<ConstBufferPtr>& final_snapshots() const { return final_snapshots_; }
  // What a stage has been told of the run: by Release, and by Resume.
  int64_t checkpoint_known() const { return checkpoint_known_; }
  const net::Record& record_known() const { return record_known_; }
  bool is_waiting_for_layers() const { return is_waiting_for_layers_; }
  const std::vector<std::string>& last_stages() const { return last_stages_; }
  int64_t replayed() const { return replayed_; }  // the most in one reconfiguration
  int repartitions() const { return repartitions_; }
  const std::vector<TimedReport>& reports_told() const { return reports_told_; }

  // For plants.
  NodeCore& core() { return *core_; }
  Surroundings& surroundings() { return all_; }
  uint64_t term() const { return term_; }  // the newest that it has heard of
  PeerId central() const { return central_; }
  void later(TimeUs delay, std::function<void()> what) { when_running(delay, std::move(what)); }
  void handle_bulk(PeerId from, const BulkHeader& header, const BufferPtr& bytes);

  // Outside
  TimeUs now() override { return all_.world.now(); }
  void start_task(Task task) override;
  void start_load(const Load& load) override;
  void write_journal(const WriteJournal& write) override;
  void write_checkpoint(const WriteCheckpoint& write,
                        std::vector<ConstBufferPtr> snapshots) override;
  void tell(const Report& report) override;

  // TransportHandler
  void on_control(PeerId from, const net::Control& message) override;
  int64_t expected_bytes(PeerId from, const BulkHeader& header) override;
  void on_bulk(PeerId from, const BulkHeader& header, BufferPtr bytes) override;
  void on_disconnected(PeerId peer) override;

 private:
  struct PendingLine {
    RunId run;
    SimDisk::Line line;
  };
  void start();
  void when_running(TimeUs delay, std::function<void()> what);
  void service();
  void tick();
  void show_held();
  void settle();
  void end();
  TimeUs data_time(TimeUs takes);
  void hear(PeerId from, const net::Control& message);

  Surroundings& all_;
  ProcessOptions options_;
  NetProcessPtr net_;
  std::unique_ptr<NodeCore> core_;
  FakeExecutor executor_;
  TaskChecker tasks_;
  TaskTimes task_times_;
  CentralSetup setup_;
  net::Record* record_ = nullptr;  // of all_.records: ours
  Cpu cpu_;
  TimeUs woken_at_ = 0;
  TimeUs started_at_ = 0;
  TimeUs led_at_ = -1;
  std::set<PeerId> contacts_;

  bool service_due_ = false;
  std::deque<std::function<void()>> held_;  // while paused
  TimeUs data_free_at_ = 0;
  std::deque<PendingLine> lines_;  // not synced yet
  uint64_t term_ = 0;
  PeerId central_ = 0;
  int64_t checkpoint_known_ = -1;
  net::Record record_known_;
  bool is_waiting_for_layers_ = false;
  int64_t replayed_ = 0;
  int repartitions_ = 0;
  std::vector<TimedReport> reports_told_;
  std::vector<std::string> last_stages_;

  bool killed_ = false;
  bool interrupted_ = false;
  bool ended_ = false;
  bool status_known_ = false;
  Status status_;
  std::optional<Complete> complete_;
  std::vector<ConstBufferPtr> final_snapshots_;
};

}  // namespace ft::sim
