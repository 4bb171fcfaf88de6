#include "runtime/pipeline/central.h"

#include <algorithm>

namespace ft {

Central::Central(const CentralOptions& options)
    : options_(options),
      detector_(FaultDetectorOptions{options.failure_timeout_us}),
      term_(options.restart.term),
      book_(static_cast<int>(options.layer_costs.size())),
      batches_(options.training.batches()),
      reported_known_(!options.restart.resume),
      from_stages_(options.restart.resume && options.run == RunId{}) {
  net::Hello own;
  own.set_name(options_.name);
  own.set_model_sha256(options_.model_sha256);
  own.set_memory_bytes(options_.memory_bytes);
  Device& device = members_.add(options_.self, own);
  device.layer_us = options_.layer_us;
  device.speed.measured(options_.cpu);
  const Restart& restart = options_.restart;
  book_.set_record(restart.record);
  finished_ = restart.finished;
  finished_ever_ = restart.reported;
  evaluated_ = restart.evaluated;
  if (restart.checkpoint >= 0) {
    checkpoint_ = restart.checkpoint;
    checkpoints_.insert(checkpoint_);
  }
}

Actions Central::step(const Event& event, TimeUs now) {
  now_ = now;
  actions_.clear();
  std::visit(Overloaded{
                 [&](const ControlEvent& e) { on_control(e.from, e.message); },
                 [&](const DisconnectedEvent& e) { detector_.disconnected(e.peer, now); },
                 [&](const LoadResult& e) { on_load(e); },
                 [&](const JournalWrittenEvent& e) {
                   if (e.term != term_) return;
                   if (phase_ == Phase::kOpening) {
                     pause();
                   } else if (phase_ == Phase::kSealing) {
                     resume();
                   }
                 },
                 [&](const CheckpointWrittenEvent& e) { on_checkpoint(e); },
                 [&](const InterruptEvent&) { on_interrupt(); },
                 [&](const StopEvent& e) { stop(e.status); },
                 [&](const LinksEvent& e) {
                   for (const net::LinkSpeed& link : e.links) note_link(options_.self, link);
                 },
                 [&](const TickEvent&) { on_tick(); },
                 [](const auto&) {},
             },
             event);
  if (phase_ == Phase::kTraining) {
    feed();
    feed_evaluation();
    maybe_collect();
    maybe_drained();
  }
  return std::move(actions_);
}

// The batches under way are finished and collected; what has not begun ends at once.
void Central::on_interrupt() {
  if (phase_ == Phase::kWaiting || waiting_for_layers_) {
    stop(Status(StatusCode::kInterrupted, phase_ == Phase::kWaiting
                                              ? "interrupted before training began"
                                              : "interrupted while layers were missing"));
    return;
  }
  if (phase_ == Phase::kStoring && !store_failure_.ok()) return stop(store_failure_);
  interrupted_ = true;
  if (phase_ == Phase::kTraining) {
    batches_ = std::min(batches_, next_batch_ + (next_micro_ > 0 ? 1 : 0));
  }
}

void Central::on_tick() {
  if (phase_ == Phase::kDone) return;
  if (phase_ == Phase::kWaiting && members_.count() > options_.workers) {
    if (options_.run == RunId{}) {
      wait_for_run();
    } else {
      begin("start");
    }
  }
  find_losses();
  if (phase_ == Phase::kStoring && store_again_at_ >= 0 && now_ >= store_again_at_) store();
  if (waiting_for_layers_ && !gathered_ && gather_until_ >= 0 && now_ >= gather_until_) {
    gathered_ = true;
    choose();
  }
  if (phase_ == Phase::kTraining) {
    admit_and_dismiss();
    measure_waiting();
  }
  if (now_ >= next_heartbeat_) beat();
  for (auto stranger = strangers_.begin(); stranger != strangers_.end();) {
    const auto [peer, until] = *stranger;
    if (now_ < until) {
      ++stranger;
      continue;
    }
    if (members_.find(peer) == nullptr) actions_.push_back(DisconnectPeer{peer});
    stranger = strangers_.erase(stranger);
  }
}

// Enough stages are here, but none of them names the run to go on with.
void Central::wait_for_run() {
  const int stages = members_.count() - 1;
  if (stages == told_waiting_) return;
  told_waiting_ = stages;
  tell(WaitingForRunReport{stages});
}

void Central::beat() {
  next_heartbeat_ = now_ + options_.heartbeat_us;
  for (const auto& [peer, device] : members_.all()) {
    if (peer == options_.self) continue;
    net::Control message;
    message.mutable_heartbeat()->set_version(finished_);
    message.mutable_heartbeat()->set_central(options_.self);
    send(peer, std::move(message));
  }
}

void Central::on_control(PeerId from, const net::Control& message) {
  if (phase_ == Phase::kDone) return;
  if (message.has_pause()) {  // from another central of this run
    if (options_.run != RunId{} && message.term() > term_) on_superseded();
    return;
  }
  if (message.has_hello()) return on_hello(from, message.hello());
  if (message.has_heartbeat()) return on_heartbeat(from, message);
  Device* device = members_.find(from);
  if (device == nullptr) return;
  if (from != options_.self) detector_.heard(from, now_);
  device->deaf_since = -1;
  if (message.term() != term_) return;
  switch (message.body_case()) {
    case net::Control::kInventory:
      return on_inventory(from, message.inventory());
    case net::Control::kReady:
      return on_ready(from);
    case net::Control::kFetchModel:
      return send_bulk(from, BulkName{BulkKind::kModel}, options_.model);
    case net::Control::kMeasured:
      return on_measured(from, message.measured());
    case net::Control::kSnapshotStored:
      return on_stored(from, message.snapshot_stored());
    case net::Control::kUnreachable:
      return on_unreachable(from, message.unreachable().peer());
    case net::Control::kLeave:
      device->leaving = true;
      return;
    case net::Control::kTraffic:
      return on_traffic(from, message.traffic());
    case net::Control::kFailure:
      return stop(
          failed_error("%s: %s", device->hello.name().c_str(), message.failure().reason().c_str()));
    default:
      if (phase_ == Phase::kTraining) on_training_message(from, message);
  }
}

void Central::on_training_message(PeerId from, const net::Control& message) {
  if (message.has_progress() && is_stage(from)) on_progress(from, message.progress());
  if (from != last_stage()) return;
  if (message.has_batch_loss()) on_batch_loss(message.batch_loss());
  if (message.has_evaluation_loss()) on_evaluation_loss(message.evaluation_loss());
}

bool Central::is_stage(PeerId peer) const {
  return std::any_of(stages_.begin(), stages_.end(),
                     [peer](const DeviceReport& stage) { return stage.incarnation == peer; });
}

int64_t Central::slowest_version() const {
  int64_t version = batches_;
  for (const DeviceReport& stage : stages_) {
    version = std::min(version, members_.at(stage.incarnation).version);
  }
  return version;
}

// ---- Words to others ----

// Only a finished run ends the stages. Otherwise they keep what they hold and wait: central may be
// started again, with --resume or with options that work.
void Central::stop(const Status& status) {
  const bool is_finished = phase_ == Phase::kStoring && status.ok();
  phase_ = Phase::kDone;
  for (const auto& [peer, device] : members_.all()) {
    if (peer == options_.self || !is_finished) continue;
    net::Control message;
    if (device.member) {
      message.mutable_finish();
    } else {
      message.mutable_refuse()->set_reason("the run has ended");
      message.mutable_refuse()->set_ended(true);
    }
    send(peer, std::move(message));
  }
  actions_.push_back(Exit{status});
}

void Central::send_all(const net::Control& message) {
  for (const PeerId peer : members_.in_order()) send(peer, message);
}

void Central::send_bulk(PeerId to, const BulkName& name, ConstBufferPtr bytes) {
  actions_.push_back(SendBulk{to, name, std::move(bytes)});
}

}  // namespace ft
