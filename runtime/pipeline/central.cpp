#include "runtime/pipeline/central.h"

#include <algorithm>

#include "partition/plan.h"

namespace ft {
namespace {

net::LayerRange to_message(const LayerRange& range) {
  net::LayerRange message;
  message.set_first(range.first);
  message.set_last(range.last);
  return message;
}

}  // namespace

Central::Central(const CentralOptions& options)
    : options_(options),
      detector_(FaultDetectorOptions{options.failure_timeout_us}),
      batches_(options.training.batches()) {
  Device& own = devices_[options_.self];
  own.hello.set_name(options_.name);
  own.hello.set_model_sha256(options_.model_sha256);
  own.joined = joined_++;
}

Actions Central::step(const Event& event, TimeUs now) {
  now_ = now;
  actions_.clear();
  std::visit(Overloaded{
                 [&](const ControlEvent& e) { on_control(e.from, e.message); },
                 [&](const DisconnectedEvent& e) { detector_.disconnected(e.peer, now); },
                 [&](const LoadResult& e) { on_load(e); },
                 [&](const JournalWrittenEvent& e) {
                   if (phase_ == Phase::kJournal && e.term == term_) resume();
                 },
                 [&](const CheckpointWrittenEvent& e) { on_checkpoint_written(e.version); },
                 [&](const InterruptEvent&) { on_interrupt(); },
                 [&](const StopEvent& e) { stop(e.status); },
                 [&](const TickEvent&) { on_tick(); },
                 [](const auto&) {},
             },
             event);
  if (phase_ == Phase::kTraining) {
    feed();
    feed_evaluation();
    maybe_collect();
  }
  return std::move(actions_);
}

// The batches under way are finished and collected; what has not begun ends at once.
void Central::on_interrupt() {
  if (phase_ == Phase::kWaiting) {
    stop(Status(StatusCode::kInterrupted, "interrupted before training began"));
    return;
  }
  interrupted_ = true;
  if (phase_ == Phase::kTraining) {
    batches_ = std::min(batches_, next_batch_ + (next_micro_ > 0 ? 1 : 0));
  }
}

// ---- Membership ----

void Central::on_tick() {
  if (phase_ == Phase::kDone) return;
  if (phase_ == Phase::kWaiting && static_cast<int>(devices_.size()) > options_.workers) {
    begin("start");
  }
  // Several may be lost at once: one new term for all of them.
  bool members_lost = false;
  for (const FaultDetector::Loss& loss : detector_.tick(now_)) {
    members_lost = on_lost(loss.peer, loss.cause) || members_lost;
  }
  if (members_lost) begin("failure");
  if (now_ < next_heartbeat_) return;
  next_heartbeat_ = now_ + options_.heartbeat_us;
  for (const auto& [peer, device] : devices_) {
    if (peer == options_.self) continue;
    net::Control message;
    message.mutable_heartbeat()->set_version(finished_);
    send(peer, std::move(message));
  }
}

void Central::on_control(PeerId from, const net::Control& message) {
  if (message.body_case() == net::Control::kHello) {
    on_hello(from, message);
    return;
  }
  const auto found = devices_.find(from);
  if (found == devices_.end()) return;
  if (from != options_.self) detector_.heard(from, now_);
  if (message.term() != term_) return;
  switch (message.body_case()) {
    case net::Control::kInventory:
      on_inventory(from, message.inventory());
      break;
    case net::Control::kReady:
      on_ready(from);
      break;
    case net::Control::kFetchModel:
      send_bulk(from, BulkName{BulkKind::kModel}, options_.model);
      break;
    case net::Control::kBatchLoss:
      if (phase_ == Phase::kTraining && from == last_stage()) on_batch_loss(message.batch_loss());
      break;
    case net::Control::kProgress:
      if (phase_ == Phase::kTraining && is_stage(from)) on_progress(from, message.progress());
      break;
    case net::Control::kEvaluationLoss:
      if (phase_ == Phase::kTraining && from == last_stage()) {
        on_evaluation_loss(message.evaluation_loss());
      }
      break;
    case net::Control::kSnapshotStored:
      on_stored(from, message.snapshot_stored());
      break;
    case net::Control::kTraffic:
      on_traffic(from, message.traffic());
      break;
    case net::Control::kFailure:
      stop(failed_error("%s: %s", found->second.hello.name().c_str(),
                        message.failure().reason().c_str()));
      break;
    default:
      break;
  }
}

void Central::on_hello(PeerId from, const net::Control& message) {
  const net::Hello& hello = message.hello();
  if (from == options_.self || phase_ == Phase::kDone) return;
  if (devices_.count(from) != 0) {
    detector_.heard(from, now_);
    // A fresh stage repeats its Hello until the pause reaches it. One that names this term took
    // part in it and gave central up: its work is gone.
    if (hello.held_term() == term_ && term_ > 0) begin("failure");
    return;
  }
  actions_.push_back(ConnectPeer{from, hello.control_endpoint(), hello.bulk_endpoint()});
  if (!hello.model_sha256().empty() && hello.model_sha256() != options_.model_sha256) {
    net::Control answer;
    answer.mutable_refuse()->set_reason(
        "it has another model than central; start it with the same file, or without one");
    send(from, std::move(answer));
    return;
  }
  Device& device = devices_[from];
  device.hello = hello;
  device.joined = joined_++;
  detector_.add(from, now_);
  tell(DeviceJoinedReport{hello.name(), static_cast<int>(devices_.size())});
  if (phase_ == Phase::kPausing) {  // perhaps it holds what the others lack
    begin("join");
    return;
  }
  // A device that comes later holds no layers until something else reconfigures.
  if (phase_ != Phase::kWaiting) return;
  if (static_cast<int>(devices_.size()) > options_.workers) begin("start");
}

bool Central::on_lost(PeerId peer, const std::string& cause) {
  const auto found = devices_.find(peer);
  if (found == devices_.end()) return false;
  const std::string name = found->second.hello.name();
  const bool was_member = phase_ != Phase::kWaiting && found->second.member;
  devices_.erase(found);
  detector_.remove(peer);
  actions_.push_back(DisconnectPeer{peer});
  tell(DeviceLostReport{name, cause, static_cast<int>(devices_.size())});
  return was_member;
}

// ---- The one reconfiguration path ----

void Central::expect_answers() {
  for (auto& [peer, device] : devices_) device.answered = false;
}

bool Central::all_answered() const {
  return std::all_of(devices_.begin(), devices_.end(), [](const auto& entry) {
    return entry.second.answered || !entry.second.member;
  });
}

std::vector<PeerId> Central::in_order() const {
  std::vector<PeerId> order;
  for (const auto& [peer, device] : devices_) {
    if (device.member) order.push_back(peer);
  }
  std::sort(order.begin(), order.end(),
            [this](PeerId a, PeerId b) { return devices_.at(a).joined < devices_.at(b).joined; });
  return order;
}

void Central::begin(const std::string& reason) {
  if (phase_ == Phase::kWaiting || phase_ >= Phase::kTraining) {
    began_us_ = now_;
    reason_ = reason;
  }
  phase_ = Phase::kPausing;
  ++term_;
  expect_answers();
  holders_.clear();
  for (auto& [peer, device] : devices_) device.member = true;
  actions_.push_back(SetTerm{options_.run, term_});
  net::Control message;
  message.mutable_pause()->set_central_control_endpoint(options_.control_endpoint);
  message.mutable_pause()->set_central_bulk_endpoint(options_.bulk_endpoint);
  message.mutable_pause()->set_reason(reason_);
  send_all(message);
}

void Central::on_inventory(PeerId from, const net::Inventory& inventory) {
  if (phase_ != Phase::kPausing) return;
  Device& device = devices_[from];
  device.answered = true;
  device.numerics = inventory.numerics();
  device.hello.set_model_sha256(inventory.model_sha256());
  for (const net::SnapshotName& name : inventory.snapshots()) holders_[key_of(name)].insert(from);
  if (all_answered()) choose();
}

Result<std::vector<LayerRange>> Central::solve(size_t devices) const {
  if (!options_.cuts.empty()) {
    FT_ASSIGN_OR_RETURN(auto ranges, ranges_from_cuts(options_.cuts, layer_count()));
    if (ranges.size() <= devices) return ranges;
    // At the start that is a mistake; after a loss training goes on with the ranges that fit best.
    if (term_ == 1) {
      return invalid_error("--partition fixed:%s makes %zu ranges, but there are %zu devices",
                           options_.cuts.c_str(), ranges.size(), devices);
    }
  }
  return plan_ranges(options_.layer_costs, std::vector<double>(devices, 1.0));
}

void Central::choose() {
  const std::vector<PeerId> order = in_order();
  const int64_t version = choose_version();
  const int64_t checkpoint = checkpoint_at(newest_allowed());
  if (version < checkpoint) {
    tell(WaitingReport{checkpoint, missing_layers(checkpoint)});
    return;  // until a device comes that holds them
  }
  resumed_version_ = version;
  Result<std::vector<LayerRange>> ranges = solve(order.size());
  if (!ranges.ok()) {
    stop(ranges.status());
    return;
  }
  stages_.clear();
  net::Control message;
  net::Assign* assign = message.mutable_assign();
  *assign->mutable_training() = options_.training;
  for (size_t i = 0; i < ranges->size(); ++i) {
    const Device& device = devices_.at(order[i]);
    stages_.push_back({device.hello.name(), order[i], (*ranges)[i]});
    net::StageInfo* info = assign->add_stages();
    info->set_incarnation(order[i]);
    info->set_name(device.hello.name());
    info->set_control_endpoint(device.hello.control_endpoint());
    info->set_bulk_endpoint(device.hello.bulk_endpoint());
    *info->mutable_range() = to_message((*ranges)[i]);
  }
  for (size_t i = ranges->size(); i < order.size(); ++i) {
    const Device& device = devices_.at(order[i]);
    net::StageInfo* info = assign->add_spares();
    info->set_incarnation(order[i]);
    info->set_name(device.hello.name());
    info->set_control_endpoint(device.hello.control_endpoint());
    info->set_bulk_endpoint(device.hello.bulk_endpoint());
  }
  assign->set_resume_version(resumed_version_);
  assign->set_resume_term(term_of(resumed_version_));
  assign->set_model_sha256(options_.model_sha256);
  assign->set_model_bytes(static_cast<int64_t>(options_.model->size()));
  assign->set_central(options_.self);
  phase_ = Phase::kMoving;
  expect_answers();
  for (size_t i = 0; i < order.size(); ++i) {
    const PeerId peer = order[i];
    assign->clear_fetches();
    if (i < ranges->size()) add_fetches(peer, (*ranges)[i], assign);
    const bool has_model = devices_.at(peer).hello.model_sha256() == options_.model_sha256;
    assign->set_model_from(has_model ? 0 : options_.self);
    send(peer, message);
  }
}

void Central::on_ready(PeerId from) {
  if (phase_ != Phase::kMoving) return;
  devices_[from].answered = true;
  if (!all_answered()) return;
  // Resuming from v cuts the record after v and appends.
  while (record_.entries_size() > 0 &&
         record_.entries(record_.entries_size() - 1).first_batch() > resumed_version_) {
    record_.mutable_entries()->RemoveLast();
  }
  net::RecordEntry* entry = record_.add_entries();
  entry->set_first_batch(resumed_version_ + 1);
  entry->set_term(term_);
  for (const DeviceReport& stage : stages_) *entry->add_ranges() = to_message(stage.range);
  phase_ = Phase::kJournal;
  actions_.push_back(WriteJournal{term_, record_});
}

void Central::resume() {
  phase_ = Phase::kTraining;
  next_batch_ = resumed_version_ + 1;
  next_micro_ = 0;
  finished_ = resumed_version_;
  if (interrupted_) batches_ = std::min(batches_, next_batch_);
  // What was known of cuts after it belongs to a history that was rolled back.
  complete_ = std::min(complete_, resumed_version_);
  checkpoint_ = std::min(checkpoint_, resumed_version_);
  checkpoints_.erase(checkpoints_.upper_bound(resumed_version_), checkpoints_.end());
  sums_.clear();
  evaluations_.clear();
  for (auto& [peer, device] : devices_) {
    device.version = resumed_version_;
    device.busy_us = 0;
  }
  // The cut that training resumes from may still have to be evaluated.
  if (is_evaluated(options_.training, resumed_version_) && resumed_version_ > evaluated_) {
    evaluations_.push_back(EvaluationSum{resumed_version_, 0, 0, 0, 0, 0});
  }
  net::Control message;
  *message.mutable_resume()->mutable_record() = record_;
  send_all(message);
  ReconfiguredReport report;
  report.term = term_;
  report.reason = reason_;
  report.stages = stages_;
  report.resume_batch = next_batch_;
  report.replayed = std::max<int64_t>(finished_ever_ - resumed_version_, 0);
  report.duration_us = now_ - began_us_;
  const std::string& numerics = devices_.at(first_stage()).numerics;
  for (const DeviceReport& stage : stages_) {
    report.exact = report.exact && devices_.at(stage.incarnation).numerics == numerics;
  }
  tell(std::move(report));
}

// ---- Words to others ----

void Central::stop(const Status& status) {
  phase_ = Phase::kDone;
  for (const auto& [peer, device] : devices_) {
    if (peer == options_.self) continue;
    net::Control message;
    if (device.member) {
      message.mutable_finish();
    } else {
      message.mutable_refuse()->set_reason("the run has ended");
    }
    send(peer, std::move(message));
  }
  actions_.push_back(Exit{status});
}

void Central::send_all(const net::Control& message) {
  for (const PeerId peer : in_order()) {
    if (devices_.at(peer).member) send(peer, message);
  }
}

void Central::send_bulk(PeerId to, const BulkName& name, ConstBufferPtr bytes) {
  actions_.push_back(SendBulk{to, name, std::move(bytes)});
}

}  // namespace ft
