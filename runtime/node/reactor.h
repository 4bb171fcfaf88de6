#pragma once

// Reactor: the shell around the state machines. One thread owns the sockets, the stage, and on
// central's node the central machine; it never computes. Tasks go to the compute thread, batches
// and journal to the data thread; their results come back through mailboxes that wake it.
//
// On central's node the two machines talk by the same messages as over the network, delivered by a
// queue.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/transport.h"
#include "runtime/node/children.h"
#include "runtime/node/compute_thread.h"
#include "runtime/node/data_thread.h"
#include "runtime/node/mailbox.h"
#include "runtime/observe/display.h"
#include "runtime/pipeline/central.h"
#include "runtime/pipeline/stage.h"

namespace ft {

// What central's node adds to a stage's.
struct CentralParts {
  CentralOptions options;
  const Dataset* dataset = nullptr;
  BatchShape batch_shape;
  RunDirectory* directory = nullptr;
  Sha256 model_sha{};
  Display* display = nullptr;
  WakeFd* interrupt = nullptr;   // signalled when the user interrupts
  Children* children = nullptr;  // stages of this machine, watched until they have joined
};

class Reactor : public TransportHandler {
 public:
  // `transport` is null for a run on one device alone.
  Reactor(std::unique_ptr<Transport> transport, PeerId self);
  ~Reactor() override;

  void add_stage(const StageOptions& options, const ComputeOptions& compute,
                 const std::string& central_endpoint);
  void add_central(CentralParts parts);

  // Runs until a machine says how it ends.
  Status run();

  // After run(): the final snapshots and traffic (central), whether members had equal numerics.
  const Complete& complete() const { return complete_; }
  bool is_complete() const { return is_complete_; }
  // Every layer's snapshot of (version, term), which central's own stage holds; empty if one lacks.
  std::vector<ConstBufferPtr> snapshots(int64_t version, uint64_t term) const;
  bool exact() const { return exact_; }
  double last_loss() const { return last_loss_; }
  const EvaluatedReport* last_evaluation() const {
    return evaluated_ ? &last_evaluation_ : nullptr;
  }

  // TransportHandler
  void on_control(PeerId from, const net::Control& message) override;
  int64_t expected_bytes(PeerId from, const BulkHeader& header) override;
  void on_bulk(PeerId from, const BulkHeader& header, BufferPtr bytes) override;
  void on_disconnected(PeerId peer) override;

 private:
  enum class Machine : uint8_t { kStage, kCentral };
  struct LocalDelivery {
    Machine machine;
    Event event;
  };

  void deliver(Machine machine, const Event& event);
  void perform(Action action);
  void send_control(SendControl send);
  void count_traffic(net::Traffic* traffic) const;
  void send_bulk(SendBulk send);
  void tell(const Report& report);
  void drain_mailboxes();
  void take_data(const DataResult& result);
  void drain_local();
  void tick();

  std::unique_ptr<Transport> transport_;
  PeerId self_;
  WakeFd wake_;
  Mailbox<TaskResult> task_results_{&wake_};
  Mailbox<DataResult> data_results_{&wake_};
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<Central> central_;
  net::Hello hello_;
  std::string central_endpoint_;
  CentralParts parts_;
  std::deque<LocalDelivery> local_;
  RunId run_{};
  uint64_t term_ = 0;
  TimeUs next_tick_ = 0;
  bool interrupted_ = false;

  bool finished_ = false;
  Status status_;
  Complete complete_;
  bool is_complete_ = false;
  bool exact_ = true;
  double last_loss_ = 0;
  bool evaluated_ = false;
  EvaluatedReport last_evaluation_;

  std::unique_ptr<ComputeThread> compute_;  // last: they use the mailboxes
  std::unique_ptr<DataThread> data_;
};

}  // namespace ft
