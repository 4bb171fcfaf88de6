// Central and the plan: measures devices, asks the planner, and cuts the pipeline anew when that
// pays (docs/planning.md).

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/pipeline/central.h"
#include "runtime/pipeline/cpu_message.h"
#include "runtime/pipeline/plan_report.h"

namespace ft {
namespace {

constexpr TimeUs kAgainWaitMinUs = 2 * kSecondUs;
constexpr TimeUs kAgainWaitMaxUs = 32 * kSecondUs;
constexpr TimeUs kSpareWaitMaxUs = 4 * kSecondUs;  // nobody waits for a device without layers
constexpr double kGainMax = 0.5;
constexpr double kJump = 1.5;
constexpr TimeUs kJumpUs = 10 * kSecondUs;
constexpr TimeUs kCalmUs = 60 * kSecondUs;
constexpr TimeUs kMoveUs = 300 * kMillisecondUs;  // until one was seen
// A device that is left out can hardly show that it was the moment that was bad, and not the device
// or its links: such a plan must save more.
constexpr TimeUs kLeaveOutUs = kSecondUs;
// An urgent transfer waits behind what has left already: half of two chunks on average, or where
// that takes longer half of net/stream.h's kDelayTargetUs.
constexpr double kAheadBytes = 256 << 10;
constexpr double kAheadUs = 7'500;
// A plan's prediction is compared with that many batches.
constexpr int64_t kPredictedBatches = 40;

// Replicas travel when nothing else does, but what of them has left is not overtaken. A link that
// they keep busy for a part of the time delays that part of the transfers.
LinkCost behind_replicas(LinkCost cost, double replica_bytes_per_us) {
  const double busy = std::min(replica_bytes_per_us / cost.bytes_per_us, 1.0);
  cost.latency_us += busy * std::min(kAheadBytes / cost.bytes_per_us, kAheadUs);
  return cost;
}

}  // namespace

// ---- Measuring ----

// Before the first configuration everybody is measured. Later newcomers hold replicas until they
// are.
bool Central::must_measure() const {
  if (!is_dynamic() || !stages_.empty()) return false;
  const auto& all = members_.all();
  return std::any_of(all.begin(), all.end(), [](const auto& entry) {
    const Device& device = entry.second;
    return device.member && !device.leaving && device.layer_us.empty();
  });
}

void Central::measure(PeerId peer, bool again) {
  Device& device = members_.at(peer);
  device.measuring = true;
  const bool has_model = device.hello.model_sha256() == options_.model_sha256;
  net::Control message;
  net::Measure* measure = message.mutable_measure();
  *measure->mutable_training() = options_.training;
  measure->set_model_sha256(options_.model_sha256);
  measure->set_model_bytes(static_cast<int64_t>(options_.model->size()));
  measure->set_model_from(has_model ? 0 : options_.self);
  measure->set_again(again);
  measure->set_budget_us(kCpuProbeUs);
  send(peer, std::move(message));
}

void Central::measure_first() {
  phase_ = Phase::kMeasuring;
  for (auto& [peer, device] : members_.all()) {
    if (!device.member || device.leaving || !device.layer_us.empty()) continue;
    measure(peer, false);
  }
}

// While training: devices without layers, which would never show a change otherwise, and those that
// seem faster than believed.
void Central::measure_waiting() {
  if (!is_dynamic()) return;
  for (auto& [peer, device] : members_.all()) {
    if (!device.member || device.leaving || device.measuring) continue;
    if (device.layer_us.empty()) {
      measure(peer, false);
    } else if (now_ >= device.measure_again_at &&
               (!is_stage(peer) || device.speed.is_doubted() || device.speed.looks_faster())) {
      measure(peer, true);
    }
  }
}

void Central::on_measured(PeerId from, const net::Measured& measured) {
  Device& device = members_.at(from);
  if (!device.measuring) return;
  device.measuring = false;
  if (measured.layer_us_size() == layer_count()) {
    device.layer_us.assign(measured.layer_us().begin(), measured.layer_us().end());
    device.speed.measured(cpu_of(measured));
    speeds_shifted_ = true;
    gain_wanted_ = 0;  // a newcomer is no noise
  } else if (measured.times() > 0) {
    const bool second = device.speed.is_doubted();
    const bool doubted = device.speed.measured_again(static_cast<double>(measured.times()),
                                                     static_cast<double>(measured.cpu_share()),
                                                     static_cast<double>(measured.pause_us()));
    const double shift = device.speed.take_shift();
    note_shift(shift);
    TimeUs& wait = device.measure_again_wait;
    const bool spare = !is_stage(from) && from != options_.self;
    const TimeUs longest = spare ? kSpareWaitMaxUs : kAgainWaitMaxUs;
    wait = shift > 1 ? kAgainWaitMinUs : std::clamp(2 * wait, kAgainWaitMinUs, longest);
    device.measure_again_at = doubted && !second ? now_ : now_ + wait;
  } else {
    device.measure_again_at = now_ + kAgainWaitMaxUs;  // it tells nothing
  }
  if (phase_ == Phase::kMeasuring && !must_measure()) {
    phase_ = Phase::kPausing;
    choose();
  }
}

// ---- Planning ----

// Those that stay and are measured, in the order of the pipeline as it is, so that a new one does
// not differ from it without reason; central first.
std::vector<PeerId> Central::planned_devices() const {
  std::vector<PeerId> devices{options_.self};
  const auto add = [&](PeerId peer) {
    const Device* device = members_.find(peer);
    const bool takes_part = device != nullptr && device->member && !device->leaving;
    if (!takes_part || device->layer_us.empty()) return;
    if (std::find(devices.begin(), devices.end(), peer) == devices.end()) devices.push_back(peer);
  };
  for (const DeviceReport& stage : stages_) add(stage.incarnation);
  for (const PeerId peer : members_.in_order()) add(peer);
  return devices;
}

PlanRequest Central::plan_request(const std::vector<PeerId>& devices) const {
  PlanRequest request;
  request.sync = options_.training.schedule() == net::kSync;
  request.micro_batches = micro_count(options_.training);
  request.layers = options_.layer_sizes;
  request.cuts = options_.cut_sizes;
  request.range_bytes = options_.range_bytes;
  request.links.assign(devices.size(), std::vector<LinkCost>(devices.size()));
  const double replica_bytes = replica_bytes_per_us(devices);
  for (size_t i = 0; i < devices.size(); ++i) {
    const Device& device = members_.at(devices[i]);
    DeviceCost cost;
    cost.name = device.hello.name();
    cost.layer_us = device.layer_us;
    for (double& us : cost.layer_us) us *= device.speed.paced_times();
    cost.byte_us = device.speed.byte_us();
    cost.pauses_us = device.speed.pauses_us() / request.micro_batches;
    const ProcessSize process = process_size(devices[i], device);
    cost.process_bytes = process.held_bytes;
    if (device.hello.memory_bytes() > 0) {
      cost.memory_bytes = memory_for_ranges(device.hello.memory_bytes(), process);
    }
    request.devices.push_back(std::move(cost));
    for (size_t j = 0; j < i; ++j) {
      request.links[i][j] = behind_replicas(link_cost(devices[i], devices[j]), replica_bytes);
      request.links[j][i] = behind_replicas(link_cost(devices[j], devices[i]), replica_bytes);
      if (reaches(devices[j], devices[i])) continue;
      request.unreachable.emplace(static_cast<int>(j), static_cast<int>(i));
    }
  }
  return request;
}

ProcessSize Central::process_size(PeerId peer, const Device& device) const {
  if (peer == options_.self) return options_.own_process;
  return options_.process_size ? options_.process_size(device.hello) : ProcessSize();
}

// What the device's process takes at most with that range.
int64_t Central::process_bytes(PeerId peer, const Device& device, const LayerRange& range,
                               int in_flight) const {
  if (!options_.range_bytes) return 0;
  const ProcessSize process = process_size(peer, device);
  return std::max(process.start_bytes, process.held_bytes + options_.range_bytes(range, in_flight));
}

// About how fast replicas come into being: the model's state in each cut interval, as if all
// devices were as fast as the fastest.
double Central::replica_bytes_per_us(const std::vector<PeerId>& devices) const {
  const int64_t every = options_.training.replicate_every();
  double least_us = std::numeric_limits<double>::infinity();
  for (const PeerId peer : devices) {
    const std::vector<double>& us = members_.at(peer).layer_us;
    least_us = std::min(least_us, std::accumulate(us.begin(), us.end(), 0.0));
  }
  const double batch_us =
      least_us * micro_count(options_.training) / static_cast<double>(devices.size());
  if (every <= 0 || batch_us <= 0) return 0;
  const auto bytes = static_cast<double>(
      std::accumulate(options_.layer_bytes.begin(), options_.layer_bytes.end(), int64_t{0}));
  return bytes / static_cast<double>(every) / batch_us;
}

void Central::note_link(PeerId from, const net::LinkSpeed& link) {
  if (members_.find(from) == nullptr || members_.find(link.peer()) == nullptr) return;
  LinkCost& cost = links_[{from, link.peer()}];
  if (link.bytes_per_us() > 0) cost.bytes_per_us = static_cast<double>(link.bytes_per_us());
  cost.latency_us = static_cast<double>(link.round_trip_us()) / 2;
}

// A link that was never used is as fast as the networks of both ends have shown to be, in either
// direction: the slower of the two, each as fast as the best link that it takes part in. By one
// direction alone a device behind a slow link would make the others look slow to each other.
LinkCost Central::link_cost(PeerId from, PeerId to) const {
  const auto known = links_.find({from, to});
  if (known != links_.end() && std::isfinite(known->second.bytes_per_us)) return known->second;
  LinkCost cost;
  for (const PeerId end : {from, to}) {
    LinkCost best{0, 0};
    for (const auto& [pair, link] : links_) {
      if (pair.first != end && pair.second != end) continue;
      if (std::isfinite(link.bytes_per_us) && link.bytes_per_us > best.bytes_per_us) best = link;
    }
    if (best.bytes_per_us <= 0) continue;
    cost.bytes_per_us = std::min(cost.bytes_per_us, best.bytes_per_us);
    cost.latency_us = std::max(cost.latency_us, best.latency_us);
  }
  return cost;
}

Result<Central::Row> Central::solve_dynamic() {
  const std::vector<PeerId> devices = planned_devices();
  const PlanRequest request = plan_request(devices);
  FT_ASSIGN_OR_RETURN(const Plan plan, make_plan(request));
  Row row;
  for (const PlannedStage& stage : plan.stages) {
    row.devices.push_back(devices[static_cast<size_t>(stage.device)]);
    row.ranges.push_back(stage.range);
  }
  note_room(request, devices, row);
  const double before_us = stages_.empty() ? 0 : predict_now(request, devices).batch_us;
  plan_ = report_of(request, plan, options_.training.batch_size());
  if (before_us > 0) plan_.images_per_second_before = images_per_second(before_us);
  prediction_from_ = resumed_version_ + 1 + options_.repartition.first_batches;
  return row;
}

// The first of a row whose memory does not hold its range; else as many as there are ranges.
size_t Central::find_small(const Row& row) const {
  const PlanRequest request = plan_request(row.devices);
  const size_t stages = row.ranges.size();
  for (size_t i = 0; i < stages; ++i) {
    const int64_t memory = request.devices[i].memory_bytes;
    if (memory == std::numeric_limits<int64_t>::max()) continue;
    const auto in_flight = static_cast<int>(stages - i);
    if (range_memory_bytes(request, row.ranges[i], in_flight) > memory) return i;
  }
  return stages;
}

// What a row leaves free where memory is limited.
void Central::note_room(const PlanRequest& request, const std::vector<PeerId>& devices,
                        const Row& row) {
  room_.clear();
  for (size_t i = 0; i < devices.size(); ++i) {
    const int64_t memory = request.devices[i].memory_bytes;
    if (memory < std::numeric_limits<int64_t>::max()) room_[devices[i]] = memory;
  }
  for (size_t i = 0; i < row.ranges.size(); ++i) {
    const auto room = room_.find(row.devices[i]);
    if (room == room_.end()) continue;
    const auto in_flight = static_cast<int>(row.ranges.size() - i);
    room->second -= range_memory_bytes(request, row.ranges[i], in_flight);
  }
}

// For the replicas of a range: those of the newest two cuts.
bool Central::has_room(PeerId peer, const LayerRange& range) const {
  const auto room = room_.find(peer);
  if (room == room_.end()) return true;
  int64_t bytes = 0;
  for (int layer = range.first; layer < range.last; ++layer) {
    bytes += 2 * options_.layer_bytes[static_cast<size_t>(layer)];
  }
  return bytes <= room->second;
}

// The pipeline as it is, with the speeds of now; empty when one of its devices is not to be
// planned.
Plan Central::predict_now(const PlanRequest& request, const std::vector<PeerId>& devices) const {
  std::vector<int> row;
  std::vector<LayerRange> ranges;
  for (const DeviceReport& stage : stages_) {
    const auto found = std::find(devices.begin(), devices.end(), stage.incarnation);
    if (found == devices.end()) return Plan();
    row.push_back(static_cast<int>(found - devices.begin()));
    ranges.push_back(stage.range);
  }
  return predict(request, row, ranges);
}

// ---- While training ----

void Central::note_speed(Device* device, PeerId peer, const net::Progress& progress) {
  const int64_t batches = progress.version() - device->version;
  const TimeUs trained = progress.train_us() - device->train_us;
  const TimeUs trained_cpu = progress.train_cpu_us() - device->train_cpu_us;
  const TimeUs snapshots = progress.snapshot_us() - device->snapshot_us;
  const TimeUs busy = progress.busy_us() - device->busy_us;
  const TimeUs passed = now_ - device->progress_at;
  device->progress_at = now_;
  const bool first = progress.version() <= resumed_version_ + options_.repartition.first_batches;
  if (!is_dynamic() || first || batches < 1 || device->layer_us.empty()) return;
  if (trained < 0 || trained_cpu < 0 || snapshots < 0 || busy < 0) return;  // cannot be
  // A probe, say: it takes its part of a quota.
  if (device->speed.is_elastic() && busy - trained > snapshots) return;
  const auto place =
      std::find_if(stages_.begin(), stages_.end(),
                   [peer](const DeviceReport& stage) { return stage.incarnation == peer; });
  double expected_us = 0;
  for (int layer = place->range.first; layer < place->range.last; ++layer) {
    expected_us += device->layer_us[static_cast<size_t>(layer)];
  }
  expected_us *= micro_count(options_.training);
  if (expected_us <= 0) return;
  const auto each = static_cast<double>(batches);
  const double besides =
      static_cast<double>(progress.cpu_us() - device->cpu_us) - static_cast<double>(trained_cpu);
  BatchTimes batch;
  batch.expected_us = expected_us;
  batch.wall_us = static_cast<double>(trained) / each;
  batch.cpu_us = static_cast<double>(trained_cpu) / each;
  batch.besides_us = std::max(besides, 0.0) / each;
  const int64_t bytes = bytes_at_cuts(options_.cut_sizes, place->range) + kMessagesBytes;
  batch.bytes = static_cast<double>(bytes) * micro_count(options_.training);
  batch.busy_us = static_cast<double>(busy);
  batch.passed_us = static_cast<double>(std::max<TimeUs>(passed, 1));
  device->speed.add(batch);
  if (progress.layer_us_size() == place->range.count()) {
    device->mix.add({progress.layer_us().begin(), progress.layer_us().end()});
    device->mix.divide(&device->layer_us[static_cast<size_t>(place->range.first)]);
  }
  note_shift(device->speed.take_shift());
}

// So great a change is no noise, however many moves were made before it; many of them are.
void Central::note_shift(double shift) {
  if (shift > 1) speeds_shifted_ = true;
  if (shift < kJump || now_ < jump_again_at_) return;
  gain_wanted_ = 0;
  jump_again_at_ = now_ + kJumpUs;
}

// How far off a plan's time may be, relative: by the speeds of the stages that limit it, or may. Of
// one that has no layers yet nothing is known but how fast it was measured: it may be tried.
double Central::uncertainty(const Plan& plan, const std::vector<PeerId>& devices) const {
  double slowest_us = 0;
  for (const PlannedStage& stage : plan.stages) {
    slowest_us = std::max(slowest_us, stage.compute_us);
  }
  double most = 0;
  for (const PlannedStage& stage : plan.stages) {
    const PeerId peer = devices[static_cast<size_t>(stage.device)];
    if (!is_stage(peer)) continue;
    const double error =
        std::min(options_.repartition.errors * members_.at(peer).speed.error(), kGainMax);
    if (stage.compute_us * (1 + error) >= slowest_us) most = std::max(most, error);
  }
  return most;
}

// Whether the batches that are left, or those within the horizon, make up for the move: the
// pipeline runs empty, layers travel, it fills again.
bool Central::pays(const Plan& now, const Plan& plan, const std::vector<PeerId>& devices) const {
  const double gain =
      std::max({gain_wanted_, uncertainty(now, devices), uncertainty(plan, devices)});
  const double batch_us = now.batch_us;
  if (plan.batch_us > batch_us * (1 - gain)) return false;
  const double batches = std::min(static_cast<double>(batches_ - next_batch_),
                                  static_cast<double>(options_.repartition.horizon_us) / batch_us);
  const double saved_us = (batch_us - plan.batch_us) * batches;
  const TimeUs move_us = last_move_us_ > 0 ? last_move_us_ : kMoveUs;
  const bool leaves_out = plan.stages.size() < stages_.size();
  const double cost_us =
      static_cast<double>(leaves_out ? std::max(kLeaveOutUs, move_us) : move_us) +
      2 * batch_us * static_cast<double>(stages_.size());
  return saved_us > options_.repartition.pays * cost_us;
}

void Central::maybe_repartition() {
  if (!is_dynamic() || options_.neighbour_takes_over) return;
  if (phase_ != Phase::kTraining || !drain_reason_.empty()) return;
  if (next_batch_ >= batches_ ||
      finished_ < resumed_version_ + 2 * options_.repartition.first_batches)
    return;
  if (!speeds_shifted_ && now_ < plan_again_at_) return;
  speeds_shifted_ = false;
  plan_again_at_ = now_ + options_.repartition.every_us;
  for (; now_ >= calm_at_ && gain_wanted_ > 0; calm_at_ += kCalmUs) gain_wanted_ /= 2;
  gain_wanted_ = std::max(gain_wanted_, options_.repartition.gain_min);
  const std::vector<PeerId> devices = planned_devices();
  const PlanRequest request = plan_request(devices);
  const Plan now = predict_now(request, devices);
  if (now.batch_us <= 0) return;
  const Result<Plan> plan = make_plan(request);
  looks_paid_ = plan.ok() && pays(now, *plan, devices) ? looks_paid_ + 1 : 0;
  if (looks_paid_ == 0) return;
  const bool at_once = plan->batch_us < now.batch_us * (1 - options_.repartition.gain_at_once);
  if (!at_once && looks_paid_ < options_.repartition.looks) return;
  gain_wanted_ = std::min(2 * gain_wanted_, kGainMax);
  calm_at_ = now_ + kCalmUs;
  drain("repartition");
}

// How the plan's prediction has held, once for each plan.
void Central::check_prediction() {
  if (plan_.devices.empty() || finished_ < prediction_from_) return;
  if (finished_ == prediction_from_) {
    prediction_at_ = now_;
  } else if (finished_ == prediction_from_ + kPredictedBatches) {
    const double measured_us =
        static_cast<double>(now_ - prediction_at_) / static_cast<double>(kPredictedBatches);
    tell(PredictionReport{plan_.images_per_second, images_per_second(measured_us)});
  }
}

double Central::images_per_second(double batch_us) const {
  return 1e6 * static_cast<double>(options_.training.batch_size()) / batch_us;
}

}  // namespace ft
