#include "runtime/pipeline/stage.h"

#include <algorithm>

namespace ft {

Stage::Stage(const StageOptions& options) : options_(options) {}

Actions Stage::step(const Event& event, TimeUs now) {
  now_ = now;
  actions_.clear();
  std::visit(Overloaded{
                 [&](const ControlEvent& e) { on_control(e.from, e.message, now); },
                 [&](const BulkEvent& e) { on_bulk(e); },
                 [&](const TaskResult& e) { on_task(e); },
                 [&](const TickEvent&) { on_tick(now); },
                 [](const auto&) {},
             },
             event);
  dispatch();
  return std::move(actions_);
}

// ---- Membership and reconfiguration ----

void Stage::on_tick(TimeUs now) {
  if (options_.beside_central || phase_ == Phase::kFinished) return;
  if (phase_ == Phase::kJoining) {
    if (now < next_hello_) return;
    next_hello_ = now + options_.hello_interval_us;
    actions_.push_back(SayHello{left_term_});
    return;
  }
  if (now >= central_heard_ + options_.central_timeout_us) {
    actions_.push_back(DisconnectPeer{central_});
    drop_work();
    // A central that comes back begins a run of its own: there is no going on with the old one yet.
    store_ = SnapshotStore();
    left_term_ = term_;
    term_ = 0;
    run_ = RunId{};
    actions_.push_back(SetTerm{run_, term_});
    phase_ = Phase::kJoining;
    return;
  }
  if (now < next_heartbeat_) return;
  next_heartbeat_ = now + options_.heartbeat_us;
  net::Control message;
  message.mutable_heartbeat()->set_version(version_);
  message.mutable_heartbeat()->set_busy_us(busy_us_);
  message.mutable_heartbeat()->set_tasks_done(tasks_done_);
  send(central_, std::move(message));
}

void Stage::on_control(PeerId from, const net::Control& message, TimeUs now) {
  if (from == central_) central_heard_ = now;
  switch (message.body_case()) {
    case net::Control::kRefuse:
      if (phase_ == Phase::kJoining) {
        actions_.push_back(Exit{
            refused_error("central refuses this stage: %s", message.refuse().reason().c_str())});
      }
      return;
    case net::Control::kPause:
      on_pause(from, message);
      return;
    default:
      break;
  }
  if (message.term() != term_) return;
  if (message.body_case() == net::Control::kFetchSnapshot) {
    push(from, key_of(message.fetch_snapshot().snapshot()));
    return;
  }
  // The rest only central may say.
  if (from != central_) return;
  switch (message.body_case()) {
    case net::Control::kAssign:
      if (phase_ == Phase::kPaused) on_assign(message.assign());
      break;
    case net::Control::kResume:
      if (phase_ == Phase::kReady) on_resume();
      break;
    case net::Control::kEvaluationDone:
      evaluated_.insert(message.evaluation_done().version());
      break;
    case net::Control::kCollect:
      if (phase_ == Phase::kTraining && has_range() && message.collect().version() == version_) {
        take_cut(true);
        net::Control answer;
        answer.mutable_traffic();  // the shell counts
        send(central_, std::move(answer));
      }
      break;
    case net::Control::kRelease:
      store_.release_below(message.release().version());
      break;
    case net::Control::kFinish:
      phase_ = Phase::kFinished;
      actions_.push_back(Exit{Status()});
      break;
    default:
      break;
  }
}

void Stage::drop_work() {
  arrived_inputs_.clear();
  arrived_labels_.clear();
  arrived_gradients_.clear();
  evaluations_.clear();
  evaluated_.clear();
  snapshots_due_.clear();
  fetching_.clear();
  model_wanted_ = false;
  in_flight_ = 0;
  step_due_ = false;
  configure_wanted_ = false;
  model_.reset();
  place_ = {-1, 0, -1};
}

void Stage::on_pause(PeerId from, const net::Control& message) {
  if (message.term() <= term_ || phase_ == Phase::kFinished) return;
  drop_work();
  phase_ = Phase::kPaused;
  central_ = from;
  central_heard_ = now_;
  term_ = message.term();
  std::copy_n(message.run().begin(), std::min(message.run().size(), run_.size()), run_.begin());
  if (!options_.beside_central) {
    actions_.push_back(ConnectPeer{from, message.pause().central_control_endpoint(),
                                   message.pause().central_bulk_endpoint()});
  }
  actions_.push_back(SetTerm{run_, term_});
  net::Control answer;
  net::Inventory* inventory = answer.mutable_inventory();
  inventory->set_model_sha256(options_.hello.model_sha256());
  inventory->set_numerics(options_.hello.numerics());
  inventory->set_memory_bytes(options_.hello.memory_bytes());
  for (const auto& [key, bytes] : store_.held()) *inventory->add_snapshots() = name_of(key);
  send(central_, std::move(answer));
}

void Stage::on_assign(const net::Assign& assign) {
  assign_ = assign;
  phase_ = Phase::kMoving;
  place_ = {-1, assign.stages_size(), assign.resume_version()};
  for (int i = 0; i < assign.stages_size(); ++i) {
    const net::StageInfo& info = assign.stages(i);
    if (info.incarnation() == options_.self) place_.stage = i;
  }
  for (const auto* members : {&assign.stages(), &assign.spares()}) {
    for (const net::StageInfo& info : *members) {
      if (info.incarnation() == options_.self || info.incarnation() == central_) continue;
      actions_.push_back(
          ConnectPeer{info.incarnation(), info.control_endpoint(), info.bulk_endpoint()});
    }
  }
  if (!has_range()) {
    phase_ = Phase::kReady;
    net::Control ready;
    ready.mutable_ready();
    send(central_, std::move(ready));
    return;
  }
  fetch(assign);
}

// Asks for what this device lacks: the model file, and layers at the version to resume from.
void Stage::fetch(const net::Assign& assign) {
  model_wanted_ =
      assign.model_from() != 0 && options_.hello.model_sha256() != assign.model_sha256();
  if (model_wanted_) {
    net::Control message;
    message.mutable_fetch_model();
    send(assign.model_from(), std::move(message));
  }
  for (const net::Fetch& item : assign.fetches()) {
    fetching_[key_of(item.snapshot())] = item;
    net::Control message;
    *message.mutable_fetch_snapshot()->mutable_snapshot() = item.snapshot();
    send(item.from(), std::move(message));
  }
  configure_wanted_ = !model_wanted_ && fetching_.empty();
}

void Stage::configure() {
  configure_wanted_ = false;
  Task task;
  task.kind = TaskKind::kConfigure;
  task.assign = assign_;
  task.stage = place_.stage;
  task.version = place_.resumed_version;
  task.model = std::move(model_);
  model_.reset();
  const net::LayerRange& range = assign_.stages(place_.stage).range();
  for (int32_t layer = range.first(); layer < range.last(); ++layer) {
    task.snapshots.push_back(store_.find({place_.resumed_version, layer, assign_.resume_term()}));
  }
  start(std::move(task));
}

void Stage::on_configured(const TaskResult& result) {
  inputs_ = result.inputs;
  outputs_ = result.outputs;
  received_gradients_ = result.received_gradients;
  sent_gradients_ = result.sent_gradients;
  value_bytes_ = result.value_bytes;
  label_row_bytes_ = result.label_row_bytes;
  layer_bytes_ = result.layer_bytes;
  options_.hello.set_model_sha256(assign_.model_sha256());
  version_ = place_.resumed_version;
  next_forward_ = {version_ + 1, 0};
  next_backward_ = next_forward_;
  phase_ = Phase::kReady;
  net::Control ready;
  ready.mutable_ready();
  send(central_, std::move(ready));
}

// The state that training resumes from is replicated again under the new ranges before any newer
// cut (DESIGN 4).
void Stage::on_resume() {
  phase_ = Phase::kTraining;
  if (!has_range()) return;
  const net::LayerRange& range = assign_.stages(place_.stage).range();
  for (int32_t layer = range.first(); layer < range.last(); ++layer) {
    push(ring_next(), {place_.resumed_version, layer, assign_.resume_term()});
  }
}

// ---- Replication ----

PeerId Stage::ring_next() const {
  return assign_.stages((place_.stage + 1) % place_.stages).incarnation();
}

void Stage::take_cut(bool to_central) {
  const net::LayerRange& range = assign_.stages(place_.stage).range();
  for (int32_t layer = range.first(); layer < range.last(); ++layer) {
    snapshots_due_.push_back({layer, version_, to_central});
  }
}

// Stored first, acknowledged after.
void Stage::hold(const SnapshotKey& key, ConstBufferPtr bytes) {
  store_.put(key, std::move(bytes));
  net::Control message;
  *message.mutable_snapshot_stored()->mutable_snapshot() = name_of(key);
  send(central_, std::move(message));
}

void Stage::push(PeerId to, const SnapshotKey& key) {
  const ConstBufferPtr bytes = store_.find(key);
  if (bytes == nullptr || to == options_.self) return;
  const BulkName name{BulkKind::kSnapshot, 0, 0, key.layer, key.version, key.term};
  actions_.push_back(SendBulk{to, name, bytes});
}

// Fetched snapshots come from whom they were asked of; replicas from whoever runs the layer.
int64_t Stage::snapshot_bytes(PeerId from, const BulkName& name) const {
  const auto asked = fetching_.find({name.version, name.item, name.origin_term});
  if (asked != fetching_.end()) {
    return asked->second.from() == from ? asked->second.bytes() : -1;
  }
  if (phase_ != Phase::kReady && phase_ != Phase::kTraining) return -1;
  for (const net::StageInfo& info : assign_.stages()) {
    if (info.incarnation() != from || name.item < info.range().first() ||
        name.item >= info.range().last() ||
        name.item >= static_cast<int64_t>(layer_bytes_.size())) {
      continue;
    }
    return layer_bytes_[static_cast<size_t>(name.item)];
  }
  return -1;
}

}  // namespace ft
