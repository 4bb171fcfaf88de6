#pragma once

// Reactor: the shell around a node's state machines. One thread owns the sockets and the machines
// (node_core.h) and never computes. Tasks go to the compute thread, batches and journal to the data
// thread; their results come back through mailboxes that wake it.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/node/children.h"
#include "runtime/node/compute_thread.h"
#include "runtime/node/data_thread.h"
#include "runtime/node/mailbox.h"
#include "runtime/node/node_core.h"
#include "runtime/node/service.h"
#include "runtime/observe/display.h"
#include "runtime/observe/loss_watch.h"
#include "runtime/observe/stage_story.h"

namespace ft {

// What central's node adds to a stage's.
struct CentralParts {
  CentralOptions options;
  const Dataset* dataset = nullptr;
  BatchShape batch_shape;
  RunDirectory* directory = nullptr;
  Sha256 model_sha{};
  std::function<std::string(const RunId&)> describe;  // run.json's text
  Display* display = nullptr;
  LossWatch loss_watch{1};       // of the run's batches; it has seen those of earlier processes
  Children* children = nullptr;  // stages of this machine, watched until they have joined
};

class Reactor : private Outside {
 public:
  // `transport` is null for a run on one device alone. `interrupt` is signalled when the user asks
  // for an end; it may be null.
  Reactor(std::unique_ptr<Transport> transport, PeerId self, WakeFd* interrupt);
  ~Reactor() override;

  void add_stage(const StageOptions& options, const ComputeOptions& compute,
                 const std::string& central_endpoint);
  void add_central(CentralParts parts);

  // A stage without central beside it tells how it fares; `json`: as events, too.
  void narrate(StageStory story, bool json);

  // What an earlier process has reported of this run.
  void remember(const ReportedProgress& progress);

  // Tells the service manager that this thread still runs, and when it stops.
  void serve(Service* service) { service_ = service; }

  // Runs until a machine says how it ends.
  Status run();

  // After run().
  const NodeCore& core() const { return core_; }
  bool exact() const { return exact_; }  // members had equal numerics
  double last_loss() const { return last_loss_; }
  const EvaluatedReport* last_evaluation() const {
    return evaluated_ ? &last_evaluation_ : nullptr;
  }

 private:
  using Machine = NodeCore::Machine;

  // Outside
  TimeUs now() override;
  void start_task(Task task) override { compute_->submit(std::move(task)); }
  void start_load(const Load& load) override { data_->submit(load); }
  void write_journal(const WriteJournal& write) override;
  void write_checkpoint(const WriteCheckpoint& write,
                        std::vector<ConstBufferPtr> snapshots) override;
  void tell(const Report& report) override;

  void drain_mailboxes();
  void take_data(const DataResult& result);
  void take_interrupt();
  void tick();
  void tell(const StageNews& news) const;
  void watch_loss(const BatchReport& batch);

  WakeFd wake_;
  Mailbox<TaskResult> task_results_{&wake_};
  Mailbox<DataResult> data_results_{&wake_};
  NodeCore core_;
  CentralParts parts_;
  WakeFd* interrupt_;
  Service* service_ = nullptr;
  bool interrupted_ = false;
  TimeUs next_tick_ = 0;

  std::optional<StageStory> story_;
  bool story_json_ = false;
  bool events_lost_ = false;  // was told
  bool exact_ = true;
  double last_loss_ = 0;
  bool evaluated_ = false;
  EvaluatedReport last_evaluation_;

  std::unique_ptr<ComputeThread> compute_;  // last: they use the mailboxes
  std::unique_ptr<DataThread> data_;
};

}  // namespace ft
