#pragma once

// NodeCore: the state machines of one node, wired to each other and to the transport. Everything
// else that a node does (compute, disk, display) is an Outside: threads in the product
// (reactor.h), fakes in the simulator. One thread owns it.
//
// On central's node the two machines talk by the same messages as over the network, delivered by a
// queue.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/transport.h"
#include "runtime/pipeline/central.h"
#include "runtime/pipeline/stage.h"

namespace ft {

// Called from within NodeCore's functions; answers come later, through deliver().
class Outside {
 public:
  virtual ~Outside() = default;
  virtual TimeUs now() = 0;
  virtual void start_task(Task task) = 0;
  virtual void start_load(const Load& load) = 0;
  virtual void write_journal(const WriteJournal& write) = 0;
  // `snapshots` holds every layer of the cut.
  virtual void write_checkpoint(const WriteCheckpoint& write,
                                std::vector<ConstBufferPtr> snapshots) = 0;
  virtual void tell(const Report& report) = 0;
};

class NodeCore : public TransportHandler {
 public:
  enum class Machine : uint8_t { kStage, kCentral };

  // `transport` is null for a run on one device alone.
  NodeCore(std::unique_ptr<Transport> transport, PeerId self, Outside* outside);
  ~NodeCore() override;

  void add_stage(const StageOptions& options, const std::string& central_endpoint);
  void add_central(const CentralOptions& options);

  // Steps a machine and performs what it says, the local messages that follow included.
  void deliver(Machine machine, Event event);
  // Both machines' TickEvent.
  void tick();

  bool is_finished() const { return finished_; }
  // How the node ends. REQUIRES: is_finished().
  const Status& status() const { return status_; }
  // What central's run has come to, or null.
  const Complete* complete() const { return is_complete_ ? &complete_ : nullptr; }
  // Every layer's snapshot of (version, term), which the own stage holds; empty if one lacks.
  std::vector<ConstBufferPtr> snapshots(int64_t version, uint64_t term) const;

  Transport* transport() { return transport_.get(); }
  Stage* stage() { return stage_.get(); }
  Central* central() { return central_.get(); }

  // TransportHandler
  void on_control(PeerId from, const net::Control& message) override;
  int64_t expected_bytes(PeerId from, const BulkHeader& header) override;
  void on_bulk(PeerId from, const BulkHeader& header, BufferPtr bytes) override;
  void on_disconnected(PeerId peer) override;
  void on_stranger(const RefusedPeer& stranger) override;

 private:
  struct LocalDelivery {
    Machine machine;
    Event event;
  };

  void step(Machine machine, const Event& event);
  void perform(Machine machine, Action action);
  void send_control(Machine machine, SendControl send);
  void send_bulk(SendBulk send);
  void count_traffic(net::Traffic* traffic) const;
  void add_checksum(net::SnapshotStored* stored) const;
  void tell_links();
  void add_links(net::Heartbeat* heartbeat) const;
  void end(const Status& status);

  std::unique_ptr<Transport> transport_;
  PeerId self_;
  Outside& outside_;
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<Central> central_;
  net::Hello hello_;
  std::string central_endpoint_;
  size_t layers_ = 0;  // central's node knows
  std::deque<LocalDelivery> local_;
  bool draining_ = false;  // local_
  TimeUs next_links_ = 0;
  RunId run_{};
  uint64_t term_ = 0;
  uint64_t terms_[2] = {0, 0};  // of each machine: a message carries its sender's

  bool finished_ = false;
  Status status_;
  Complete complete_;
  bool is_complete_ = false;
};

}  // namespace ft
