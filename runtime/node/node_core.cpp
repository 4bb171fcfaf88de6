#include "runtime/node/node_core.h"

#include <algorithm>
#include <utility>

#include "runtime/base/digest.h"
#include "runtime/base/log.h"

namespace ft {
namespace {

constexpr TimeUs kLinksUs = kSecondUs;

// Which of central's two machines a message is for.
bool is_for_central(const net::Control& message) {
  switch (message.body_case()) {
    case net::Control::kHello:
    case net::Control::kInventory:
    case net::Control::kReady:
    case net::Control::kMeasured:
    case net::Control::kFetchModel:
    case net::Control::kBatchLoss:
    case net::Control::kProgress:
    case net::Control::kEvaluationLoss:
    case net::Control::kSnapshotStored:
    case net::Control::kUnreachable:
    case net::Control::kLeave:
    case net::Control::kTraffic:
    case net::Control::kFailure:
    case net::Control::kHeartbeat:
      return true;
    default:
      return false;
  }
}

Priority priority_of(BulkKind kind) {
  switch (kind) {
    case BulkKind::kEvaluation:
    case BulkKind::kEvaluationLabels:
      return Priority::kEvaluation;
    case BulkKind::kSnapshot:
    case BulkKind::kModel:
      return Priority::kReplica;
    default:
      return Priority::kPipeline;
  }
}

}  // namespace

NodeCore::NodeCore(std::unique_ptr<Transport> transport, PeerId self, Outside* outside)
    : transport_(std::move(transport)), self_(self), outside_(*outside) {}

NodeCore::~NodeCore() = default;

void NodeCore::add_stage(const StageOptions& options, const std::string& central_endpoint) {
  stage_ = std::make_unique<Stage>(options);
  hello_ = options.hello;
  central_endpoint_ = central_endpoint;
}

void NodeCore::add_central(const CentralOptions& options) {
  central_ = std::make_unique<Central>(options);
  layers_ = options.layer_bytes.size();
}

void NodeCore::tick() {
  if (central_) {
    tell_links();
    deliver(Machine::kCentral, TickEvent{});
  }
  if (stage_) deliver(Machine::kStage, TickEvent{});
}

// Central's own, now and then; the stages' come with heartbeats.
void NodeCore::tell_links() {
  const TimeUs now = outside_.now();
  if (transport_ == nullptr || now < next_links_) return;
  next_links_ = now + kLinksUs;
  net::Control message;
  add_links(message.mutable_heartbeat());
  LinksEvent event;
  event.links.assign(message.heartbeat().links().begin(), message.heartbeat().links().end());
  deliver(Machine::kCentral, std::move(event));
}

void NodeCore::add_links(net::Heartbeat* heartbeat) const {
  for (const LinkSpeed& speed : transport_->link_speeds()) {
    net::LinkSpeed* link = heartbeat->add_links();
    link->set_peer(speed.peer);
    link->set_bytes_per_us(static_cast<float>(speed.bytes_per_us));
    link->set_round_trip_us(static_cast<float>(speed.round_trip_us));
  }
}

void NodeCore::deliver(Machine machine, Event event) {
  local_.push_back({machine, std::move(event)});
  if (draining_) return;
  draining_ = true;
  while (!local_.empty() && !finished_) {
    const LocalDelivery delivery = std::move(local_.front());
    local_.pop_front();
    step(delivery.machine, delivery.event);
  }
  draining_ = false;
}

void NodeCore::step(Machine machine, const Event& event) {
  const TimeUs now = outside_.now();
  Actions actions =
      machine == Machine::kCentral ? central_->step(event, now) : stage_->step(event, now);
  for (Action& action : actions) perform(machine, std::move(action));
}

void NodeCore::end(const Status& status) {
  finished_ = true;
  status_ = status;
}

void NodeCore::perform(Machine machine, Action action) {
  std::visit(Overloaded{
                 [&](SayHello& say) {
                   hello_.set_held_run(std::move(say.held_run));
                   hello_.set_held_term(say.held_term);
                   const Status sent = transport_->send_hello(central_endpoint_, hello_);
                   if (!sent.ok()) end(sent);
                 },
                 [&](ConnectPeer& connect) {
                   if (transport_ == nullptr || connect.peer == self_) return;
                   const Status connected =
                       transport_->connect(connect.peer, connect.control_endpoint,
                                           connect.bulk_endpoint, connect.public_key);
                   if (!connected.ok()) log_warning("%s", connected.message().c_str());
                 },
                 [&](DisconnectPeer& disconnect) {
                   if (transport_) transport_->disconnect(disconnect.peer);
                 },
                 [&](SetTerm& set) {
                   terms_[static_cast<size_t>(machine)] = set.term;
                   // Central's own stage follows central: its streams begin only once.
                   if (set.run == run_ && set.term <= term_) return;
                   run_ = set.run;
                   term_ = set.term;
                   if (transport_) transport_->set_term(run_, term_);
                 },
                 [&](SendControl& send) { send_control(machine, std::move(send)); },
                 [&](SendBulk& send) { send_bulk(std::move(send)); },
                 [&](StartTask& start) { outside_.start_task(std::move(start.task)); },
                 [&](StartLoad& start) { outside_.start_load(start.load); },
                 [&](WriteJournal& write) { outside_.write_journal(write); },
                 [&](WriteCheckpoint& write) {
                   outside_.write_checkpoint(write, snapshots(write.version, write.term));
                 },
                 [&](Tell& told) { outside_.tell(told.report); },
                 [&](Complete& complete) {
                   complete_ = std::move(complete);
                   is_complete_ = true;
                 },
                 [&](Exit& exit) { end(exit.status); },
             },
             action);
}

void NodeCore::count_traffic(net::Traffic* traffic) const {
  if (transport_ == nullptr) return;
  const TrafficCounts& counts = transport_->traffic();
  traffic->set_activations(counts.activations);
  traffic->set_gradients(counts.gradients);
  traffic->set_labels(counts.labels);
  traffic->set_control(counts.control);
  traffic->set_replicas(counts.replicas);
  traffic->set_model(counts.model);
}

// Of the bytes that are held here. 0 means unknown on the wire.
void NodeCore::add_checksum(net::SnapshotStored* stored) const {
  const ConstBufferPtr bytes = stage_->snapshots().find(key_of(stored->snapshot()));
  if (bytes != nullptr) stored->set_checksum(std::max<uint64_t>(xxh3_64(bytes->bytes()), 1));
}

// To ourselves: the other machine, or the same one (central pauses its own stage; a stage tells
// its central).
void NodeCore::send_control(Machine machine, SendControl send) {
  net::Control& message = send.message;
  if (message.has_traffic()) count_traffic(message.mutable_traffic());
  if (message.has_snapshot_stored()) add_checksum(message.mutable_snapshot_stored());
  const bool to_central = message.has_heartbeat() && message.heartbeat().central() == send.to;
  if (to_central && transport_) add_links(message.mutable_heartbeat());
  if (send.to != self_) {
    if (transport_) transport_->send(send.to, std::move(message));
    return;
  }
  message.set_run(run_.data(), run_.size());
  message.set_term(terms_[static_cast<size_t>(machine)]);
  message.set_sender(self_);
  const Machine target = is_for_central(message) ? Machine::kCentral : Machine::kStage;
  local_.push_back({target, ControlEvent{self_, std::move(message)}});
}

void NodeCore::send_bulk(SendBulk send) {
  if (send.to == self_) {
    local_.push_back({Machine::kStage, BulkEvent{self_, send.name, std::move(send.bytes)}});
  } else if (transport_) {
    transport_->send_bulk(send.to, send.name, std::move(send.bytes), priority_of(send.name.kind));
  }
}

std::vector<ConstBufferPtr> NodeCore::snapshots(int64_t version, uint64_t term) const {
  std::vector<ConstBufferPtr> list;
  for (size_t layer = 0; layer < layers_; ++layer) {
    const ConstBufferPtr snapshot =
        stage_->snapshots().find({version, static_cast<int32_t>(layer), term});
    if (snapshot == nullptr) return {};
    list.push_back(snapshot);
  }
  return list;
}

// ---- From the transport ----

// A Pause that reaches central comes from another central of the same run.
void NodeCore::on_control(PeerId from, const net::Control& message) {
  const bool central = central_ != nullptr && (is_for_central(message) || message.has_pause());
  if (!central && stage_ == nullptr) return;
  deliver(central ? Machine::kCentral : Machine::kStage, ControlEvent{from, message});
}

int64_t NodeCore::expected_bytes(PeerId from, const BulkHeader& header) {
  return stage_ ? stage_->expected_bytes(from, header.name) : -1;
}

void NodeCore::on_bulk(PeerId from, const BulkHeader& header, BufferPtr bytes) {
  deliver(Machine::kStage, BulkEvent{from, header.name, std::move(bytes)});
}

void NodeCore::on_stranger(const RefusedPeer& stranger) {
  const bool proven = stranger.key != PublicKey{};
  const std::string text = text_of(stranger);
  if (central_ == nullptr) return log_warning("%s", text.c_str());
  outside_.tell(StrangerReport{proven ? fingerprint(stranger.key) : "", stranger.address,
                               stranger.reason, stranger.count, text});
}

void NodeCore::on_disconnected(PeerId peer) {
  deliver(central_ ? Machine::kCentral : Machine::kStage, DisconnectedEvent{peer});
}

}  // namespace ft
