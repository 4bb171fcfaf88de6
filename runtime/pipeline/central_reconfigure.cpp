// The one reconfiguration path (DESIGN 4): begin, pause, choose, move, seal, resume.

#include <algorithm>
#include <limits>

#include "partition/no_fit.h"
#include "partition/order.h"
#include "partition/plan.h"
#include "runtime/pipeline/central.h"
#include "runtime/pipeline/cpu_message.h"
#include "runtime/pipeline/training_difference.h"

namespace ft {
namespace {

// A central that knows the run from stages alone cannot know the newest term: one that is not here
// may have taken part in it, and the central before may have taken it without being heard. A term
// taken twice would make snapshots of two histories look alike. Not every such central skips as
// many.
constexpr uint64_t kTermsUnknown = 100;

net::LayerRange to_message(const LayerRange& range) {
  net::LayerRange message;
  message.set_first(range.first);
  message.set_last(range.last);
  return message;
}

net::StageInfo info_of(PeerId peer, const Device& device) {
  net::StageInfo info;
  info.set_incarnation(peer);
  info.set_name(device.hello.name());
  info.set_control_endpoint(device.hello.control_endpoint());
  info.set_bulk_endpoint(device.hello.bulk_endpoint());
  info.set_public_key(device.hello.public_key());
  return info;
}

}  // namespace

void Central::lap(TimeUs* phase) {
  *phase += now_ - lap_from_;
  lap_from_ = now_;
}

// ---- 1. Pause ----

void Central::begin(const std::string& reason) {
  if (options_.run == RunId{}) return;    // until a stage comes that holds the run to go on with
  if (phase_ == Phase::kStoring) return;  // nobody else is needed
  const bool restarted = phase_ == Phase::kWaiting && options_.restart.resume;
  const bool anew = phase_ > Phase::kWaiting && phase_ < Phase::kTraining;
  if (!anew && (drain_reason_.empty() || reason == "failure")) {
    phases_ = Phases{phases_.detect_us, 0, 0, 0, 0};
    lap_from_ = now_;
  }
  if (!anew || reason == "failure") reason_ = restarted ? "restart" : reason;
  lap(waiting_for_layers_ ? &phases_.choose_us : &phases_.pause_us);
  phase_ = Phase::kOpening;
  waiting_for_layers_ = false;
  drain_reason_.clear();
  const bool unknown = from_stages_ && term_ == 0;
  term_ =
      std::max(term_, seen_term_) + (unknown ? kTermsUnknown + options_.self % kTermsUnknown : 1);
  book_.clear();
  unreachable_now_.clear();
  inventory_checkpoint_ = -1;
  members_.begin_term(now_);
  actions_.push_back(SetTerm{options_.run, term_});
  // Whoever hears of a term finds it in the journal, whatever becomes of central.
  actions_.push_back(WriteJournal{options_.run, term_, book_.record()});
}

void Central::pause() {
  phase_ = Phase::kPausing;
  paused_at_ = now_;
  members_.begin_term(now_);
  net::Control message;
  message.mutable_pause()->set_central_control_endpoint(options_.control_endpoint);
  message.mutable_pause()->set_central_bulk_endpoint(options_.bulk_endpoint);
  message.mutable_pause()->set_reason(reason_);
  send_all(message);
}

void Central::on_inventory(PeerId from, const net::Inventory& inventory) {
  if (phase_ != Phase::kPausing) return;
  Device& device = members_.at(from);
  device.answered = true;
  device.numerics = inventory.numerics();
  if (device.layer_us.empty() && inventory.layer_us_size() == layer_count()) {
    device.layer_us.assign(inventory.layer_us().begin(), inventory.layer_us().end());
    device.speed.measured(cpu_of(inventory));
  }
  device.hello.set_model_sha256(inventory.model_sha256());
  if (inventory.has_training()) {
    const std::string other = training_difference(inventory.training(), options_.training);
    if (!other.empty()) {
      return stop(
          invalid_error("stage %s trains this run with other options than these: %s; repeat those "
                        "of the run",
                        device.hello.name().c_str(), other.c_str()));
    }
  }
  for (const net::SnapshotName& name : inventory.snapshots()) book_.hold(key_of(name), from);
  // The record of the highest term holds, from disk or from a stage.
  const net::Record& record = inventory.record();
  if (record.entries_size() > 0 &&
      record.entries(record.entries_size() - 1).term() > book_.newest_term()) {
    book_.set_record(record);
  }
  inventory_checkpoint_ = std::max(inventory_checkpoint_, inventory.checkpoint_batches() - 1);
  for (const PeerId peer : inventory.unreachable()) {
    unreachable_now_.insert(std::minmax(from, PeerId{peer}));
  }
  if (members_.all_answered()) choose();
}

// ---- 2. Choose ----

// The newest version at which every layer is held by somebody, in a snapshot that is not void. A
// central that has just started may not know all that was reported (its directory is lost, or its
// machine lost power): then a batch without a report is better than a run that goes back.
int64_t Central::choose_version(int64_t floor) const {
  const int64_t version = book_.newest_whole(newest_allowed());
  const bool is_there = !from_stages_ && version >= 0 && version >= floor;
  if (reported_known_ || is_there) return version;
  return book_.newest_whole(std::numeric_limits<int64_t>::max());
}

void Central::choose() {
  lap(waiting_for_layers_ ? &phases_.choose_us : &phases_.pause_us);
  waiting_for_layers_ = false;
  const int64_t checkpoint = checkpoints_.empty() ? -1 : *checkpoints_.rbegin();
  const int64_t floor = std::max(checkpoint, inventory_checkpoint_);
  const int64_t version = choose_version(floor);
  const bool gathers = version < 0 && must_gather();
  if (gathers || version < floor) return wait_for_layers(std::max(floor, book_.newest_held()));
  resumed_version_ = version;
  const int64_t held = version < 0 ? book_.newest_held() : -1;
  lost_cut_ = {held, held < 0 ? "" : missing_text(held)};
  unreachable_ = unreachable_now_;
  leaving_seen_ = members_.has_leaving();
  if (must_measure()) return measure_first();
  const Result<Row> row = solve();
  if (!row.ok()) return stages_.empty() ? stop(row.status()) : wait_for_room(row.status());
  waiting_text_.clear();
  assign(*row);
}

void Central::wait_for_room(const Status& status) {
  waiting_for_layers_ = true;
  if (status.message() == waiting_text_) return;
  waiting_text_ = status.message();
  tell(NoRoomReport{status.message()});
}

// A run that was begun elsewhere, or that has told of batches, has got somewhere: before it begins
// again from the model file, those who hold parts of it have time to come.
bool Central::must_gather() {
  const bool got_somewhere =
      from_stages_ || (options_.restart.holders_may_come && finished_ever_ >= 0);
  if (!got_somewhere || reported_known_ || gathered_) return false;
  if (gather_until_ < 0) gather_until_ = now_ + kGatherUs;
  return true;
}

std::string Central::missing_text(int64_t version) const {
  std::string text;
  for (const int layer : book_.missing(version)) {
    text += (text.empty() ? "" : ", ") + std::to_string(layer);
  }
  return text;
}

void Central::wait_for_layers(int64_t version) {
  waiting_for_layers_ = true;
  WaitingReport report{version, missing_text(version), ""};
  for (const int layer : book_.missing(version)) {
    for (const DeviceReport& stage : stages_) {
      if (layer < stage.range.first || layer >= stage.range.last) continue;
      if (members_.find(stage.incarnation) != nullptr ||
          report.holders.find(stage.name) != std::string::npos) {
        continue;
      }
      report.holders += (report.holders.empty() ? "" : ", ") + stage.name;
    }
  }
  if (report.layers == waiting_text_) return;
  waiting_text_ = report.layers;
  tell(std::move(report));
}

bool Central::reaches(PeerId a, PeerId b) const {
  return unreachable_.count(std::minmax(a, b)) == 0;
}

// Those who stay, in order of joining, as far as they can stand in a row.
std::vector<PeerId> Central::order() const {
  std::vector<PeerId> staying;
  for (const PeerId peer : members_.in_order()) {
    if (!members_.at(peer).leaving) staying.push_back(peer);
  }
  std::set<std::pair<int, int>> pairs;
  const auto count = static_cast<int>(staying.size());
  for (int a = 0; a < count; ++a) {
    for (int b = a + 1; b < count; ++b) {
      if (!reaches(staying[static_cast<size_t>(a)], staying[static_cast<size_t>(b)])) {
        pairs.emplace(a, b);
      }
    }
  }
  std::vector<PeerId> row;
  for (const int index : order_devices(count, pairs)) {
    row.push_back(staying[static_cast<size_t>(index)]);
  }
  return row;
}

Result<Central::Row> Central::solve() {
  if (options_.neighbour_takes_over && !stages_.empty()) {
    Row row = solve_takeover();
    if (!row.devices.empty()) return row;
  }
  return is_dynamic() ? solve_dynamic() : solve_equal();
}

// The layers of a stage that is gone go to the next one, which has its replicas; those of the last
// to the one before.
Central::Row Central::solve_takeover() const {
  Row row;
  int first = 0;
  for (const DeviceReport& stage : stages_) {
    const Device* device = members_.find(stage.incarnation);
    if (device == nullptr || device->leaving) continue;
    row.devices.push_back(stage.incarnation);
    row.ranges.push_back({first, stage.range.last});
    first = stage.range.last;
  }
  if (!row.ranges.empty()) row.ranges.back().last = layer_count();
  return row;
}

Result<std::vector<LayerRange>> Central::equal_ranges(size_t devices) const {
  if (options_.partition == Partition::kFixed) {
    FT_ASSIGN_OR_RETURN(std::vector<LayerRange> ranges,
                        ranges_from_cuts(options_.cuts, layer_count()));
    if (ranges.size() <= devices) return ranges;
    // At the start that is a mistake; after a loss training goes on with the ranges that fit best.
    if (term_ == 1) {
      return invalid_error(
          "--partition fixed:%s makes %zu ranges, more than there are devices (%zu): "
          "name fewer cuts, or start more stages",
          options_.cuts.c_str(), ranges.size(), devices);
    }
  }
  return plan_ranges(options_.layer_costs, std::vector<double>(devices, 1.0));
}

// A device without memory for what falls to it gets no layers; the others share them.
Result<Central::Row> Central::solve_equal() {
  const std::vector<PeerId> all = order();
  Row row{all, {}};
  while (!row.devices.empty()) {
    FT_ASSIGN_OR_RETURN(row.ranges, equal_ranges(row.devices.size()));
    const size_t small = find_small(row);
    if (small == row.ranges.size()) {
      note_room(plan_request(all), all, row);
      return row;
    }
    if (options_.partition == Partition::kFixed && term_ == 1) break;
    row.devices.erase(row.devices.begin() + static_cast<long>(small));
  }
  return no_fit_error(plan_request(all));
}

// ---- 3. Move ----

void Central::assign(const Row& row) {
  const std::vector<LayerRange>& ranges = row.ranges;
  net::Control message;
  net::Assign* assign = message.mutable_assign();
  *assign->mutable_training() = options_.training;
  stages_.clear();
  for (size_t i = 0; i < ranges.size(); ++i) {
    const PeerId peer = row.devices[i];
    const Device& device = members_.at(peer);
    const auto in_flight = static_cast<int>(ranges.size() - i);
    stages_.push_back(
        {device.hello.name(), peer, ranges[i], process_bytes(peer, device, ranges[i], in_flight)});
    *assign->add_stages() = info_of(peer, device);
    *assign->mutable_stages(static_cast<int>(i))->mutable_range() = to_message(ranges[i]);
  }
  // Replicas go around among all who stay; who has no layers holds replicas.
  std::vector<PeerId> ring;
  for (const DeviceReport& stage : stages_) ring.push_back(stage.incarnation);
  for (const PeerId peer : members_.in_order()) {
    if (is_stage(peer)) continue;
    *assign->add_spares() = info_of(peer, members_.at(peer));
    if (!members_.at(peer).leaving) ring.push_back(peer);
  }
  assign->set_resume_version(resumed_version_);
  assign->set_resume_term(book_.term_of(resumed_version_));
  assign->set_model_sha256(options_.model_sha256);
  assign->set_model_bytes(static_cast<int64_t>(options_.model->size()));
  assign->set_central(options_.self);
  assign->set_heartbeat_us(options_.heartbeat_us);
  assign->set_failure_timeout_us(options_.failure_timeout_us);
  assign->mutable_layer_bytes()->Assign(options_.layer_bytes.begin(), options_.layer_bytes.end());

  phase_ = Phase::kMoving;
  moved_bytes_ = 0;
  members_.expect_answers();
  std::set<int> relayed;
  std::vector<std::pair<PeerId, net::Control>> messages;
  for (const PeerId peer : members_.in_order()) {
    assign->clear_fetches();
    assign->clear_replicate();
    assign->set_successor(0);
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (stages_[i].incarnation != peer) continue;
      add_fetches(peer, ranges[i], assign, &relayed);
      add_replicas(ring, i, ranges[i], assign);
    }
    const bool has_model = members_.at(peer).hello.model_sha256() == options_.model_sha256;
    assign->set_model_from(has_model ? 0 : options_.self);
    messages.emplace_back(peer, message);
  }
  for (auto& [peer, assigned] : messages) {
    if (peer == options_.self) {
      for (const int layer : relayed) add_fetch(peer, layer, assigned.mutable_assign());
    }
    send(peer, std::move(assigned));
  }
}

void Central::add_fetch(PeerId peer, int layer, net::Assign* assign) {
  const SnapshotKey key = book_.key(resumed_version_, layer);
  PeerId from = options_.self;  // it relays what nobody else can give
  for (const PeerId holder : book_.holders(key)) {
    if (!reaches(peer, holder)) continue;
    from = holder;
    break;
  }
  net::Fetch* fetch = assign->add_fetches();
  *fetch->mutable_snapshot() = name_of(key);
  fetch->set_from(from);
  fetch->set_bytes(options_.layer_bytes[static_cast<size_t>(layer)]);
  moved_bytes_ += fetch->bytes();
}

// What this device lacks. A layer whose holders it cannot reach comes by way of central, which
// reaches everybody.
void Central::add_fetches(PeerId peer, const LayerRange& range, net::Assign* assign,
                          std::set<int>* relayed) {
  if (resumed_version_ < 0) return;
  for (int layer = range.first; layer < range.last; ++layer) {
    const std::set<PeerId>& holders = book_.holders(book_.key(resumed_version_, layer));
    if (holders.count(peer) != 0) continue;
    add_fetch(peer, layer, assign);
    const bool reached = std::any_of(holders.begin(), holders.end(),
                                     [&](PeerId holder) { return reaches(peer, holder); });
    if (!reached) relayed->insert(layer);
  }
}

// Where this device's replicas go, and which of its layers are not there yet.
void Central::add_replicas(const std::vector<PeerId>& ring, size_t place, const LayerRange& range,
                           net::Assign* assign) const {
  PeerId successor = 0;
  for (size_t i = 1; i < ring.size() && successor == 0; ++i) {
    const PeerId next = ring[(place + i) % ring.size()];
    if (reaches(ring[place], next) && has_room(next, range)) successor = next;
  }
  assign->set_successor(successor);
  if (successor == 0 || resumed_version_ < 0) return;
  for (int layer = range.first; layer < range.last; ++layer) {
    if (book_.holders(book_.key(resumed_version_, layer)).count(successor) == 0) {
      assign->add_replicate(layer);
    }
  }
}

void Central::on_ready(PeerId from) {
  if (phase_ != Phase::kMoving) return;
  members_.at(from).answered = true;
  if (!members_.all_answered()) return;
  lap(&phases_.move_us);
  std::vector<net::LayerRange> ranges;
  for (const DeviceReport& stage : stages_) ranges.push_back(to_message(stage.range));
  book_.append(resumed_version_, term_, ranges);
  phase_ = Phase::kSealing;
  actions_.push_back(WriteJournal{options_.run, term_, book_.record()});
}

// ---- 4. Resume ----

void Central::resume() {
  lap(&phases_.resume_us);
  phase_ = Phase::kTraining;
  next_batch_ = resumed_version_ + 1;
  next_micro_ = 0;
  const int64_t replayed = std::max<int64_t>(finished_ - resumed_version_, 0);
  if (replayed > 0 && lost_cut_.version >= 0) tell(lost_cut_);
  finished_ = resumed_version_;
  reported_known_ = true;
  if (interrupted_) batches_ = std::min(batches_, next_batch_);
  // What was known of cuts after it belongs to a history that was rolled back.
  checkpoint_ = std::min(checkpoint_, resumed_version_);
  checkpoints_.erase(checkpoints_.upper_bound(resumed_version_), checkpoints_.end());
  complete_ = checkpoint_at(resumed_version_);
  sums_.clear();
  evaluations_.clear();
  for (auto& [peer, device] : members_.all()) {
    device.version = resumed_version_;
    device.progress_at = now_;
    device.busy_us = 0;
    device.train_us = 0;
    device.train_cpu_us = 0;
    device.snapshot_us = 0;
    device.measuring = false;
    if (!is_stage(peer)) device.measure_again_at = now_;
    device.speed.work_changed();
    device.mix.forget();
  }
  looks_paid_ = 0;
  cut_interval_.begin(now_, options_.training.replicate_every());
  // The cut that training resumes from may still have to be evaluated.
  if (next_evaluation() < resumed_version_) evaluated_ = resumed_version_ - 1;
  if (next_evaluation() == resumed_version_) {
    evaluations_.push_back(EvaluationSum{resumed_version_, 0, 0, 0, 0, 0});
  }
  net::Control message;
  *message.mutable_resume()->mutable_record() = book_.record();
  send_all(message);
  if (evaluated_ >= resumed_version_) {
    net::Control done;
    done.mutable_evaluation_done()->set_version(evaluated_);
    send_all(done);
  }
  if (options_.alone) release();
  ReconfiguredReport report;
  report.term = term_;
  report.reason = reason_;
  report.stages = stages_;
  report.resume_batch = next_batch_;
  report.replayed = replayed;
  report.moved_bytes = moved_bytes_;
  report.phases = phases_;
  if (reason_ == "repartition") last_move_us_ = phases_.move_us + phases_.resume_us;
  report.plan = plan_;
  const std::string& numerics = members_.at(first_stage()).numerics;
  for (const DeviceReport& stage : stages_) {
    report.exact = report.exact && members_.at(stage.incarnation).numerics == numerics;
  }
  tell(std::move(report));
  phases_ = Phases();
  review();
}

}  // namespace ft
