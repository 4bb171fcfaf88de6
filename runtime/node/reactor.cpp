#include "runtime/node/reactor.h"

#include <algorithm>
#include <poll.h>

#include "runtime/base/log.h"

namespace ft {
namespace {

constexpr TimeUs kTickUs = 20 * kMillisecondUs;
constexpr TimeUs kFlushUs = 2 * kSecondUs;

// Which of central's two machines a message is for.
bool is_for_central(const net::Control& message) {
  switch (message.body_case()) {
    case net::Control::kHello:
    case net::Control::kInventory:
    case net::Control::kReady:
    case net::Control::kFetchModel:
    case net::Control::kBatchLoss:
    case net::Control::kProgress:
    case net::Control::kEvaluationLoss:
    case net::Control::kSnapshotStored:
    case net::Control::kTraffic:
    case net::Control::kFailure:
    case net::Control::kHeartbeat:
      return true;
    default:
      return false;
  }
}

std::vector<RecordEntry> to_entries(const net::Record& record) {
  std::vector<RecordEntry> entries;
  for (const net::RecordEntry& item : record.entries()) {
    RecordEntry entry{item.first_batch(), item.term(), {}};
    for (const net::LayerRange& range : item.ranges()) {
      entry.ranges.push_back({range.first(), range.last()});
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

// Waits for the wake descriptor alone: a run without a network.
bool wait_for_wake(TimeUs deadline, int fd) {
  pollfd item{fd, POLLIN, 0};
  const TimeUs left = std::max<TimeUs>(deadline - monotonic_now_us(), 0);
  return ::poll(&item, 1, static_cast<int>((left + 999) / 1000)) > 0;
}

}  // namespace

Reactor::Reactor(std::unique_ptr<Transport> transport, PeerId self)
    : transport_(std::move(transport)), self_(self) {}

Reactor::~Reactor() = default;

void Reactor::add_stage(const StageOptions& options, const ComputeOptions& compute,
                        const std::string& central_endpoint) {
  stage_ = std::make_unique<Stage>(options);
  hello_ = options.hello;
  central_endpoint_ = central_endpoint;
  compute_ = std::make_unique<ComputeThread>(compute, &task_results_);
}

void Reactor::add_central(CentralParts parts) {
  parts_ = std::move(parts);
  central_ = std::make_unique<Central>(parts_.options);
  data_ = std::make_unique<DataThread>(parts_.dataset, parts_.batch_shape, parts_.directory,
                                       &data_results_);
}

Status Reactor::run() {
  while (!finished_) {
    if (monotonic_now_us() >= next_tick_) {
      tick();
      drain_local();
      continue;
    }
    const bool woken = transport_ ? transport_->poll(next_tick_, wake_.fd(), this)
                                  : wait_for_wake(next_tick_, wake_.fd());
    if (woken) wake_.clear();
    drain_local();  // a pause before the results of the term it ends
    drain_mailboxes();
    drain_local();
  }
  if (transport_) transport_->flush(monotonic_now_us() + kFlushUs, this);
  data_.reset();  // the run directory has one writer at a time
  return status_;
}

void Reactor::tick() {
  next_tick_ = monotonic_now_us() + kTickUs;
  if (central_ && parts_.interrupt != nullptr && !interrupted_) {
    pollfd item{parts_.interrupt->fd(), POLLIN, 0};
    if (::poll(&item, 1, 0) > 0) {
      interrupted_ = true;
      if (!central_->is_waiting()) {
        log_info("interrupted: finishing the batches under way, then writing a checkpoint");
      }
      deliver(Machine::kCentral, InterruptEvent{});
    }
  }
  if (central_ && parts_.children != nullptr && central_->is_waiting()) {
    const Status alive = parts_.children->check();
    if (!alive.ok()) deliver(Machine::kCentral, StopEvent{alive});
  }
  if (central_) deliver(Machine::kCentral, TickEvent{});
  if (stage_) deliver(Machine::kStage, TickEvent{});
}

void Reactor::drain_mailboxes() {
  TaskResult task;
  while (task_results_.try_take(&task)) deliver(Machine::kStage, std::move(task));
  DataResult result;
  while (data_results_.try_take(&result)) take_data(result);
}

void Reactor::take_data(const DataResult& result) {
  if (const auto* load = std::get_if<LoadResult>(&result)) {
    deliver(Machine::kCentral, *load);
  } else if (const auto* journal = std::get_if<JournalResult>(&result)) {
    if (!journal->status.ok()) return deliver(Machine::kCentral, StopEvent{journal->status});
    deliver(Machine::kCentral, JournalWrittenEvent{journal->term});
  } else {
    const auto& checkpoint = std::get<CheckpointResult>(result);
    if (!checkpoint.status.ok()) return deliver(Machine::kCentral, StopEvent{checkpoint.status});
    deliver(Machine::kCentral, CheckpointWrittenEvent{checkpoint.version});
  }
}

void Reactor::drain_local() {
  while (!local_.empty() && !finished_) {
    const LocalDelivery delivery = std::move(local_.front());
    local_.pop_front();
    deliver(delivery.machine, delivery.event);
  }
}

void Reactor::deliver(Machine machine, const Event& event) {
  if (finished_) return;
  const TimeUs now = monotonic_now_us();
  Actions actions =
      machine == Machine::kCentral ? central_->step(event, now) : stage_->step(event, now);
  for (Action& action : actions) perform(std::move(action));
}

void Reactor::perform(Action action) {
  std::visit(Overloaded{
                 [&](SayHello& say) {
                   hello_.set_held_term(say.held_term);
                   const Status sent = transport_->send_hello(central_endpoint_, hello_);
                   if (!sent.ok()) perform(Exit{sent});
                 },
                 [&](ConnectPeer& connect) {
                   if (transport_ == nullptr || connect.peer == self_) return;
                   const Status connected = transport_->connect(
                       connect.peer, connect.control_endpoint, connect.bulk_endpoint);
                   if (!connected.ok()) log_warning("%s", connected.message().c_str());
                 },
                 [&](DisconnectPeer& disconnect) {
                   if (transport_) transport_->disconnect(disconnect.peer);
                 },
                 [&](SetTerm& set) {
                   // Central's own stage follows central: its streams begin only once.
                   if (set.run == run_ && set.term <= term_) return;
                   run_ = set.run;
                   term_ = set.term;
                   if (transport_) transport_->set_term(run_, term_);
                 },
                 [&](SendControl& send) { send_control(std::move(send)); },
                 [&](SendBulk& send) { send_bulk(std::move(send)); },
                 [&](StartTask& start) { compute_->submit(std::move(start.task)); },
                 [&](StartLoad& start) { data_->submit(start.load); },
                 [&](WriteJournal& write) {
                   data_->submit(JournalRequest{write.term, to_entries(write.record)});
                 },
                 [&](WriteCheckpoint& write) {
                   data_->submit(CheckpointRequest{
                       {parts_.model_sha, write.version, snapshots(write.version, write.term)}});
                 },
                 [&](Tell& told) { tell(told.report); },
                 [&](Complete& complete) {
                   complete_ = std::move(complete);
                   is_complete_ = true;
                 },
                 [&](Exit& exit) {
                   finished_ = true;
                   status_ = exit.status;
                 },
             },
             action);
}

void Reactor::count_traffic(net::Traffic* traffic) const {
  if (transport_ == nullptr) return;
  const TrafficCounts& counts = transport_->traffic();
  traffic->set_activations(counts.activations);
  traffic->set_gradients(counts.gradients);
  traffic->set_labels(counts.labels);
  traffic->set_control(counts.control);
  traffic->set_replicas(counts.replicas);
  traffic->set_model(counts.model);
}

void Reactor::send_control(SendControl send) {
  if (send.message.has_traffic()) count_traffic(send.message.mutable_traffic());
  if (send.to != self_) {
    if (transport_) transport_->send(send.to, std::move(send.message));
    return;
  }
  net::Control& message = send.message;
  message.set_run(run_.data(), run_.size());
  message.set_term(term_);
  message.set_sender(self_);
  const Machine machine = is_for_central(message) ? Machine::kCentral : Machine::kStage;
  local_.push_back({machine, ControlEvent{self_, std::move(message)}});
}

void Reactor::send_bulk(SendBulk send) {
  if (send.to == self_) {
    local_.push_back({Machine::kStage, BulkEvent{self_, send.name, std::move(send.bytes)}});
    return;
  }
  if (transport_ == nullptr) return;
  const BulkKind kind = send.name.kind;
  const Priority priority =
      kind == BulkKind::kEvaluation || kind == BulkKind::kEvaluationLabels ? Priority::kEvaluation
      : kind == BulkKind::kSnapshot || kind == BulkKind::kModel            ? Priority::kReplica
                                                                           : Priority::kPipeline;
  transport_->send_bulk(send.to, send.name, std::move(send.bytes), priority);
}

std::vector<ConstBufferPtr> Reactor::snapshots(int64_t version, uint64_t term) const {
  std::vector<ConstBufferPtr> list;
  const auto layers = static_cast<int32_t>(parts_.options.layer_bytes.size());
  for (int32_t layer = 0; layer < layers; ++layer) {
    const ConstBufferPtr snapshot = stage_->snapshots().find({version, layer, term});
    if (snapshot == nullptr) return {};
    list.push_back(snapshot);
  }
  return list;
}

void Reactor::tell(const Report& report) {
  if (const auto* batch = std::get_if<BatchReport>(&report)) last_loss_ = batch->loss;
  if (const auto* reconfigured = std::get_if<ReconfiguredReport>(&report)) {
    exact_ = exact_ && reconfigured->exact;
  }
  if (const auto* evaluated = std::get_if<EvaluatedReport>(&report)) {
    evaluated_ = true;
    last_evaluation_ = *evaluated;
  }
  const Status kept =
      parts_.directory->append_event(parts_.display->report(report, monotonic_now_us()));
  if (!kept.ok()) log_warning("%s", kept.message().c_str());
}

// ---- From the transport ----

void Reactor::on_control(PeerId from, const net::Control& message) {
  const bool central = central_ != nullptr && is_for_central(message);
  if (!central && stage_ == nullptr) return;
  deliver(central ? Machine::kCentral : Machine::kStage, ControlEvent{from, message});
}

int64_t Reactor::expected_bytes(PeerId from, const BulkHeader& header) {
  return stage_ ? stage_->expected_bytes(from, header.name) : -1;
}

void Reactor::on_bulk(PeerId from, const BulkHeader& header, BufferPtr bytes) {
  deliver(Machine::kStage, BulkEvent{from, header.name, std::move(bytes)});
}

void Reactor::on_disconnected(PeerId peer) {
  deliver(central_ ? Machine::kCentral : Machine::kStage, DisconnectedEvent{peer});
}

}  // namespace ft
