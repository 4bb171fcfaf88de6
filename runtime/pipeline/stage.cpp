#include "runtime/pipeline/stage.h"

#include <algorithm>

#include "runtime/pipeline/cpu_message.h"

namespace ft {
namespace {

constexpr TimeUs kHeartbeatUs = 250 * kMillisecondUs;  // until central says which
// Central notices a dead device first; this is for those whom it still hears.
constexpr int kPeerTimeouts = 2;

FaultDetectorOptions peer_detector(TimeUs failure_timeout_us) {
  const TimeUs timeout = kPeerTimeouts * failure_timeout_us;
  return FaultDetectorOptions{timeout, timeout};
}

bool is_member(const net::Assign& assign, PeerId peer) {
  const auto is_peer = [peer](const net::StageInfo& info) { return info.incarnation() == peer; };
  return std::any_of(assign.stages().begin(), assign.stages().end(), is_peer) ||
         std::any_of(assign.spares().begin(), assign.spares().end(), is_peer);
}

}  // namespace

Stage::Stage(const StageOptions& options)
    : options_(options),
      store_(options.store),
      peers_(peer_detector(kSecondUs)),
      layer_us_(options.layer_us.begin(), options.layer_us.end()),
      work_per_us_(options.work_per_us),
      cpu_(options.cpu) {
  options_.store = SnapshotStore();
}

Actions Stage::step(const Event& event, TimeUs now) {
  now_ = now;
  actions_.clear();
  std::visit(Overloaded{
                 [&](const ControlEvent& e) { on_control(e.from, e.message); },
                 [&](const BulkEvent& e) { on_bulk(e); },
                 [&](const TaskResult& e) { on_task(e); },
                 [&](const DisconnectedEvent& e) { peers_.disconnected(e.peer, now); },
                 [&](const InterruptEvent&) { on_interrupt(); },
                 [&](const TickEvent&) { on_tick(); },
                 [](const auto&) {},
             },
             event);
  dispatch();
  return std::move(actions_);
}

StageView Stage::view() const {
  StageView view;
  view.joined = run_ != RunId{} && phase_ != Phase::kJoining;
  view.run = run_bytes();
  view.training = phase_ == Phase::kTraining;
  if (has_range()) {
    const net::LayerRange& range = assign_.stages(place_.stage).range();
    view.range = {range.first(), range.last()};
  }
  view.layers = assign_.layer_bytes_size();
  view.resume_batch = place_.resumed_version + 1;
  view.version = version_;
  view.batches = assign_.training().batches();
  view.central_silent = view.joined && is_central_silent();
  return view;
}

// ---- Membership ----

bool Stage::is_central_silent() const {
  const TimeUs heartbeat = assign_.heartbeat_us() > 0 ? assign_.heartbeat_us() : kHeartbeatUs;
  return now_ >= central_heard_ + std::max(4 * heartbeat, assign_.failure_timeout_us());
}

void Stage::on_tick() {
  if (options_.beside_central || phase_ == Phase::kFinished) return;
  watch_peers();
  const bool joined = phase_ != Phase::kJoining;
  if (leaving_ && now_ >= central_heard_ + kLeaveUs) return end_without_central();
  if (joined) beat();
  if (joined && !is_central_silent()) return;
  if (joined && !holds_run() && now_ >= central_heard_ + kForgetUs) forget_run();
  knock();
}

void Stage::knock() {
  if (now_ < next_hello_) return;
  next_hello_ = now_ + options_.hello_interval_us;
  if (holds_run()) {
    actions_.push_back(SayHello{run_bytes(), term_});
  } else {
    actions_.push_back(SayHello{});
  }
}

// To central while we hear it, and to the other members: each finds out whom it does not reach.
void Stage::beat() {
  if (now_ < next_heartbeat_) return;
  next_heartbeat_ = now_ + (assign_.heartbeat_us() > 0 ? assign_.heartbeat_us() : kHeartbeatUs);
  net::Control message;
  net::Heartbeat* heartbeat = message.mutable_heartbeat();
  heartbeat->set_version(version_);
  heartbeat->set_central(central_);
  heartbeat->set_busy_us(busy_us_);
  heartbeat->set_tasks_done(tasks_done_);
  heartbeat->set_running_us(busy_ ? now_ - task_since_ : 0);
  heartbeat->set_longest_us(longest_us_);
  if (!is_central_silent()) send(central_, message);
  for (const auto* members : {&assign_.stages(), &assign_.spares()}) {
    for (const net::StageInfo& info : *members) {
      if (info.incarnation() == options_.self || info.incarnation() == central_) continue;
      send(info.incarnation(), message);
    }
  }
}

void Stage::watch_peers() {
  for (const FaultDetector::Loss& loss : peers_.tick(now_)) {
    unreachable_.insert(loss.peer);
    net::Control message;
    message.mutable_unreachable()->set_peer(loss.peer);
    send(central_, std::move(message));
  }
}

void Stage::on_control(PeerId from, const net::Control& message) {
  if (phase_ == Phase::kFinished) return;
  peers_.heard(from, now_);
  if (unreachable_.erase(from) > 0) peers_.add(from, now_);
  switch (message.body_case()) {
    case net::Control::kRefuse:
      return on_refuse(message);
    case net::Control::kDiscard:
      if (message.discard().run() == run_bytes() && is_central_silent()) forget_run();
      return;
    case net::Control::kHeartbeat:
      return on_heartbeat(from, message);
    case net::Control::kPause:
      return on_pause(from, message);
    default:
      break;
  }
  if (message.term() != term_) return;
  if (message.has_fetch_snapshot()) {
    return on_fetch_snapshot(from, key_of(message.fetch_snapshot().snapshot()));
  }
  if (from != central_) return;
  central_heard_ = now_;
  on_central(message);
}

// Only who is not served listens. The end of the run that it was part of is its own end.
void Stage::on_refuse(const net::Control& message) {
  const net::Refuse& refuse = message.refuse();
  const bool joining = phase_ == Phase::kJoining;
  const bool ended = refuse.ended() && (joining || (is_central_silent() && is_own_run(message)));
  if (ended) {
    phase_ = Phase::kFinished;
    actions_.push_back(Exit{Status()});
  } else if (joining) {
    phase_ = Phase::kFinished;
    actions_.push_back(
        Exit{refused_error("central refuses this stage: %s", refuse.reason().c_str())});
  }
}

// What only central may say.
void Stage::on_central(const net::Control& message) {
  switch (message.body_case()) {
    case net::Control::kAssign:
      if (phase_ == Phase::kPaused) on_assign(message.assign());
      return;
    case net::Control::kResume:
      if (phase_ != Phase::kReady) return;
      record_ = message.resume().record();
      return on_resume();
    case net::Control::kMeasure:
      return on_measure(message.measure());
    case net::Control::kEvaluationDone:
      evaluated_ = message.evaluation_done().version();
      return;
    case net::Control::kHoldCut:
      if (phase_ == Phase::kTraining && has_range() && message.hold_cut().version() == version_) {
        take_cut(Reach::kSelf);
      }
      return;
    case net::Control::kCutEvery:
      cut_from_ = message.cut_every().from_version();
      cut_every_ = message.cut_every().every();
      return;
    case net::Control::kCollect:
      if (phase_ == Phase::kTraining && has_range() && message.collect().version() == version_) {
        take_cut(Reach::kCentral);
        net::Control answer;
        answer.mutable_traffic();  // the shell counts
        send(central_, std::move(answer));
      }
      return;
    case net::Control::kRelease:
      return on_release(message.release());
    case net::Control::kFinish:
      phase_ = Phase::kFinished;
      actions_.push_back(Exit{Status()});
      return;
    default:
      return;
  }
}

// From a central that is not ours: it has slept while ours took over. It hears whom we follow.
void Stage::on_heartbeat(PeerId from, const net::Control& message) {
  if (from == central_) {
    if (message.term() == term_) central_heard_ = now_;
    return;
  }
  const bool is_central = message.heartbeat().central() == from;
  if (is_central && message.term() <= term_ && message.term() > 0)
    tell_leader(from, message.term());
}

// One that is gone leads nobody, but the state that it has left counts.
void Stage::tell_leader(PeerId to, uint64_t term) {
  if (options_.beside_central) return;
  if (is_central_silent() && (term == term_ || !holds_run())) return;
  net::Control message;
  message.mutable_heartbeat()->set_version(version_);
  message.mutable_heartbeat()->set_central(central_);
  send(to, std::move(message));
}

// Asked to leave: while central is there it stays until it has handed over what it holds.
void Stage::on_interrupt() {
  if (options_.beside_central || phase_ == Phase::kFinished) return;
  if (phase_ == Phase::kJoining || is_central_silent()) return end_without_central();
  leaving_ = true;
  net::Control message;
  message.mutable_leave();
  send(central_, std::move(message));
}

void Stage::end_without_central() {
  phase_ = Phase::kFinished;
  const std::string what =
      holds_run() ? "interrupted while central is away: what this stage held of the run is gone"
                  : "interrupted while looking for central";
  actions_.push_back(Exit{Status(StatusCode::kInterrupted, what)});
}

// Nothing is left of the run: any central may have us.
void Stage::forget_run() {
  if (central_ != 0) actions_.push_back(DisconnectPeer{central_});
  drop_work();
  store_ = SnapshotStore();
  record_.Clear();
  centrals_.clear();
  checkpoint_batches_ = 0;
  measured_for_.Clear();
  if (!options_.beside_central) {
    layer_us_.clear();
    layers_us_.clear();
    layers_known_ = -1;
  }
  assign_.Clear();
  central_ = 0;
  term_ = 0;
  run_ = RunId{};
  actions_.push_back(SetTerm{run_, term_});
  phase_ = Phase::kJoining;
}

// ---- Reconfiguration ----

void Stage::drop_work() {
  arrived_inputs_.clear();
  arrived_labels_.clear();
  arrived_gradients_.clear();
  evaluations_.clear();
  evaluated_ = -1;
  snapshots_due_.clear();
  fetching_.clear();
  relays_.clear();
  model_wanted_ = false;
  measures_ = false;
  in_flight_ = 0;
  step_due_ = false;
  cut_every_ = 0;
  train_us_ = 0;
  train_cpu_us_ = 0;
  snapshot_us_ = 0;
  configure_wanted_ = false;
  model_.reset();
  place_ = {-1, 0, -1};
}

void Stage::on_pause(PeerId from, const net::Control& message) {
  if (message.term() <= term_) {
    if (from == central_ || options_.beside_central) return;
    // Our own central is gone and has left us nothing: this one's next try finds us free.
    if (is_central_silent() && !holds_run()) return forget_run();
    actions_.push_back(ConnectPeer{from, message.pause().central_control_endpoint(),
                                   message.pause().central_bulk_endpoint(),
                                   message.pause().public_key()});
    centrals_.insert(from);
    return tell_leader(from, message.term());
  }
  drop_work();
  phase_ = Phase::kPaused;
  central_ = from;
  centrals_.insert(from);
  central_heard_ = now_;
  term_ = message.term();
  std::copy_n(message.run().begin(), std::min(message.run().size(), run_.size()), run_.begin());
  if (!options_.beside_central) {
    actions_.push_back(ConnectPeer{from, message.pause().central_control_endpoint(),
                                   message.pause().central_bulk_endpoint(),
                                   message.pause().public_key()});
  }
  actions_.push_back(SetTerm{run_, term_});
  answer_pause();
}

void Stage::answer_pause() {
  net::Control answer;
  net::Inventory* inventory = answer.mutable_inventory();
  inventory->set_model_sha256(options_.hello.model_sha256());
  inventory->set_numerics(options_.hello.numerics());
  inventory->set_memory_bytes(options_.hello.memory_bytes());
  for (const auto& [key, bytes] : store_.held()) *inventory->add_snapshots() = name_of(key);
  for (const PeerId peer : unreachable_) inventory->add_unreachable(peer);
  *inventory->mutable_record() = record_;
  if (record_.entries_size() > 0) *inventory->mutable_training() = assign_.training();
  inventory->set_checkpoint_batches(checkpoint_batches_);
  inventory->mutable_layer_us()->Assign(layer_us_.begin(), layer_us_.end());
  tell_cpu(cpu_, inventory);
  send(central_, std::move(answer));
  if (!leaving_) return;
  net::Control leave;
  leave.mutable_leave();
  send(central_, std::move(leave));
}

void Stage::on_assign(const net::Assign& assign) {
  const net::Assign before = std::move(assign_);
  assign_ = assign;
  phase_ = Phase::kMoving;
  place_ = {-1, assign.stages_size(), assign.resume_version()};
  for (int i = 0; i < assign.stages_size(); ++i) {
    if (assign.stages(i).incarnation() == options_.self) place_.stage = i;
  }
  peers_ = FaultDetector(peer_detector(assign.failure_timeout_us()));
  for (const auto* members : {&assign.stages(), &assign.spares()}) {
    for (const net::StageInfo& info : *members) {
      if (info.incarnation() == options_.self || info.incarnation() == central_) continue;
      actions_.push_back(ConnectPeer{info.incarnation(), info.control_endpoint(),
                                     info.bulk_endpoint(), info.public_key()});
      if (!options_.beside_central) peers_.add(info.incarnation(), now_);
    }
  }
  // Central looks after its own connections. One that has slept is answered (on_heartbeat).
  for (const auto* members : {&before.stages(), &before.spares()}) {
    for (const net::StageInfo& info : *members) {
      if (options_.beside_central || centrals_.count(info.incarnation()) != 0 ||
          is_member(assign_, info.incarnation()))
        continue;
      actions_.push_back(DisconnectPeer{info.incarnation()});
      unreachable_.erase(info.incarnation());
    }
  }
  // Those known to be out of reach are not watched for it again.
  for (const PeerId peer : unreachable_) peers_.remove(peer);
  fetch(assign);
  if (has_range()) return;
  phase_ = Phase::kReady;
  net::Control ready;
  ready.mutable_ready();
  send(central_, std::move(ready));
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
  if (received_gradients_.empty() && !is_last()) received_gradients_ = {kNoGradient};
  if (sent_gradients_.empty()) sent_gradients_ = {kNoGradient};
  value_bytes_[kNoGradient] = kNoGradientBytes;
  label_row_bytes_ = result.label_row_bytes;
  options_.hello.set_model_sha256(assign_.model_sha256());
  version_ = place_.resumed_version;
  next_forward_ = {version_ + 1, 0};
  next_backward_ = next_forward_;
  phase_ = Phase::kReady;
  net::Control ready;
  ready.mutable_ready();
  send(central_, std::move(ready));
}

// Fetching has brought the state here; the next device in the ring may lack it still. It is pushed
// before any newer cut (DESIGN 4).
void Stage::on_resume() {
  phase_ = Phase::kTraining;
  for (const int32_t layer : assign_.replicate()) {
    push(assign_.successor(), {place_.resumed_version, layer, assign_.resume_term()});
  }
}

}  // namespace ft
