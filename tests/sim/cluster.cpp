#include "tests/sim/cluster.h"

#include <algorithm>

#include "tests/sim/plants.h"

namespace ft::sim {
namespace {

constexpr TimeUs kSafetyUs = 20 * kSecondUs;
constexpr TimeUs kLivenessUs = 200 * kSecondUs;
// Central has named what it waits for: nobody who was healed brings it after that long.
constexpr TimeUs kWaitingUs = 15 * kSecondUs;
// A scenario whose faults do not all strike.
constexpr TimeUs kGiveUpUs = 300 * kSecondUs;
// Stages hear that the run is over, or find out.
constexpr TimeUs kGoodbyeUs = 4 * kSecondUs;
// Between two stages that come in order.
constexpr TimeUs kJoinUs = 10 * kMillisecondUs;
// A central that has slept hears within that time that another leads.
constexpr TimeUs kToldUs = 2 * kSecondUs;
// What stages are started with; it moves with central.
constexpr const char* kCentralEndpoint = "tcp://10.0.0.250:7117";

}  // namespace

ClusterOptions draw_run(uint64_t seed) {
  ClusterOptions options;
  options.seed = seed;
  Dice spec_dice(seed, DiceStream::kSpec);
  options.spec = draw_spec(&spec_dice);
  Dice fault_dice(seed, DiceStream::kFaults);
  options.faults = draw_faults(&fault_dice, options.spec);
  return options;
}

Cluster::Cluster(const ClusterOptions& options)
    : options_(options),
      all_(options.seed, options.spec),
      dice_(options.seed + (uint64_t{1} << 32), DiceStream::kFaults) {
  if (options.keep_text) all_.world.keep_text();
  if (!options.plant.empty()) {
    all_.plant = make_plant(options.plant);
    all_.network.tamper = [this](const NetProcess& target, Frame* frame) {
      for (const auto& process : processes_) {
        if (process->is_running() && process->name() == target.name) {
          all_.plant->on_frame(process->term(), frame);
        }
      }
    };
  }
  all_.leads = [this](const Process& central) { leads(central); };
  all_.moment = [this](Moment moment, int64_t value) { happened(moment, value); };
  devices_.push_back({"central", nullptr, 0});
  for (int i = 1; i <= options.spec.stages; ++i) {
    devices_.push_back({"stage-" + std::to_string(i), nullptr, 0});
  }
  Link link;
  link.latency = options.spec.latency_us;
  link.bytes_per_s = options.spec.bytes_per_s;
  all_.network.set_default(link);
  for (int a = 0; a <= options.spec.stages; ++a) {
    for (int b = 0; b <= options.spec.stages; ++b) {
      const int64_t rate = std::min(options.spec.pace.rate(a), options.spec.pace.rate(b));
      if (rate < link.bytes_per_s) all_.network.link(a, b).bytes_per_s = rate;
    }
  }
  workers_ = options.spec.stages;
  const bool large = options.spec.layer_bytes[0] > 100'000;
  // The disk does not keep up with cuts every few milliseconds either.
  if (large || options.spec.task_us < 5 * kMillisecondUs) all_.snapshots.not_prompt();
  SimDisk fresh;
  fresh.run.fill(7);
  start_central(add_disk(fresh), false, 0);
  for (int i = 1; i <= options.spec.stages; ++i) {
    const TimeUs drawn = dice_.below(200 * kMillisecondUs);
    // Where speed counts, in this order.
    all_.world.after(options.spec.pace.empty() ? drawn : i * kJoinUs, [this, i] {
      if (devices_[static_cast<size_t>(i)].process == nullptr) start_stage(i);
    });
  }
  arm();
}

// ---- Processes ----

SimDisk* Cluster::add_disk(const SimDisk& content) {
  disks_.push_back(std::make_unique<SimDisk>(content));
  SimDisk* disk = disks_.back().get();
  reports_.push_back(
      std::make_unique<ReportChecker>(&all_.spec, disk, &all_.snapshots, &all_.violations));
  reports_.back()->forget();
  return disk;
}

ReportChecker* Cluster::reports_of(const SimDisk* disk) {
  for (size_t i = 0; i < disks_.size(); ++i) {
    if (disks_[i].get() == disk) return reports_[i].get();
  }
  return nullptr;
}

Process* Cluster::start_process(Device* device, int host, const std::string& listen) {
  ProcessOptions options;
  options.name = device->name;
  options.host = host;
  options.device = static_cast<int>(device - devices_.data());
  options.listen = listen;
  options.serial = processes_.size() + 1;
  const PeerId drawn = static_cast<PeerId>(dice_.between(1, 899)) * 1000 + options.serial;
  options.self = all_.plant->incarnation(drawn, device->incarnation);
  options.has_model = dice_.chance(60);
  device->incarnation = options.self;
  processes_.push_back(std::make_unique<Process>(&all_, options));
  device->process = processes_.back().get();
  return device->process;
}

void Cluster::start_stage(int device) {
  Device& slot = devices_[static_cast<size_t>(device)];
  const std::string listen = "tcp://10.0.0." + std::to_string(device) + ":*";
  start_process(&slot, device, listen)->run_stage(kCentralEndpoint);
}

void Cluster::start_central(SimDisk* disk, bool resume, int host) {
  disk_ = disk;
  const std::string listen = "tcp://10.0.0." + std::to_string(100 + host) + ":7117";
  leader_ = start_process(&devices_[0], host, listen);
  all_.network.set_alias(kCentralEndpoint, listen);
  CentralSetup setup;
  setup.disk = disk;
  setup.reports = reports_of(disk);
  setup.resume = resume;
  setup.workers = workers_;
  if (resume && options_.heal) setup.workers = static_cast<int>(dice_.between(1, workers_));
  if (resume && !options_.heal) setup.workers = std::max(1, running_stages());
  leader_->run_central(setup);
}

int Cluster::running_stages() const {
  return static_cast<int>(std::count_if(devices_.begin() + 1, devices_.end(), [](const Device& d) {
    return d.process != nullptr && d.process->is_running() && !d.process->has_ended();
  }));
}

// ---- The end ----

// Whether a cut is left from which the run may go on, by the newest record that anybody holds.
bool Cluster::has_state() const {
  // Central knows of the run from its disk, or from whoever holds something of it.
  if (disk_->run == RunId{} && !all_.snapshots.is_anything_held()) return false;
  int64_t floor = disk_->checkpoint_version();
  // Whoever learns of a run from what others hold of it never begins it again.
  const bool resumed = std::any_of(disk_->events.begin(), disk_->events.end(), [](const auto& e) {
    return std::holds_alternative<ReconfiguredReport>(e);
  });
  if (disk_->began_empty && !resumed) floor = 0;
  const net::Record* record = &disk_->record();
  const auto newest = [](const net::Record& of) {
    return of.entries_size() == 0 ? 0 : of.entries(of.entries_size() - 1).term();
  };
  for (const auto& process : processes_) {
    if (!process->is_running() || process->is_central()) continue;
    floor = std::max(floor, process->checkpoint_known());
    if (newest(process->record_known()) > newest(*record)) record = &process->record_known();
  }
  return all_.snapshots.exists(*record, floor);
}

void Cluster::check_weights() {
  const Complete* complete = winner_->complete();
  const auto layers = static_cast<size_t>(all_.spec.layers);
  if (complete == nullptr || complete->version != all_.spec.batches - 1 ||
      winner_->final_snapshots().size() != layers) {
    return all_.violations.add("central ended well without the whole weights of the last batch");
  }
  const net::Record& record = winner_->disk()->record();
  const Outcome outcome = replay(all_.spec, record, all_.spec.batches);
  for (size_t layer = 0; layer < layers; ++layer) {
    LayerDigests state;
    const LayerDigests& expected = outcome.state[layer];
    const bool whole = unwrap_state(*winner_->final_snapshots()[layer], &state);
    if (whole && state == expected) continue;
    const char* what = !whole                                    ? "damaged"
                       : state.statistics != expected.statistics ? "wrong in its statistics"
                       : state.optimizer != expected.optimizer   ? "wrong in its optimizer state"
                                                                 : "wrong in its parameters";
    all_.violations.add(format("the final state of layer %zu is %s", layer, what));
  }
  for (int64_t batch = 0; batch < all_.spec.batches; ++batch) {
    const uint64_t term = term_of_version(record, batch);
    for (int layer = 0; layer < all_.spec.layers; ++layer) {
      const int steps = all_.ownership.steps(term, layer, batch);
      if (steps == 1) continue;
      all_.violations.add(format("batch %lld was applied %d times to layer %d",
                                 static_cast<long long>(batch), steps, layer));
    }
  }
  winner_->reports()->finished(outcome);
}

void Cluster::check_statuses() {
  for (const auto& process : processes_) {
    if (!process->has_ended()) continue;
    const StatusCode code = process->status().code();
    bool expected = code == StatusCode::kOk;
    if (process->is_central() && process.get() != winner_) {
      expected = code == StatusCode::kRefused && may_be_refused();
    }
    if (code == StatusCode::kInterrupted) expected = process->was_interrupted();
    // A central that was killed afterwards had not told anybody.
    if (process->was_killed()) continue;
    if (!expected) {
      all_.violations.add(process->name() + " ended with: " +
                          (process->status().ok() ? "success" : process->status().message()));
    }
  }
}

// A central goes on that another one has taken over from.
void Cluster::leads(const Process& central) {
  for (const auto& other : processes_) {
    if (!other->is_central() || other.get() == &central) continue;
    if (other->led_at() <= std::max(central.led_at(), central.started_at())) continue;
    if (other->has_ended() && other->status().code() == StatusCode::kRefused) continue;
    const auto is_witness = [&](const auto& process) {
      return process->is_running() && !process->is_paused() && !process->is_central() &&
             process->central() == other->self() && central.contacts().count(process->self()) != 0;
    };
    const TimeUs since = std::max(central.woken_at(), other->led_at());
    if (std::none_of(processes_.begin(), processes_.end(), is_witness)) {
      split_ = true;
    } else if (all_.world.now() - since > kToldUs) {
      all_.violations.add("a central goes on that another one has taken over from");
    }
  }
}

// Whether a stage that follows the other central is there for this one.
bool Cluster::hears_of(PeerId central, PeerId other) const {
  const auto follows = [&](const auto& process) {
    return process->is_running() && !process->is_paused() && process->central() == other;
  };
  for (const auto& process : processes_) {
    if (process->self() != central || !process->is_running()) continue;
    for (const auto& stage : processes_) {
      if (follows(stage) && process->contacts().count(stage->self()) != 0) return true;
    }
  }
  return false;
}

// Two centrals that cannot know of each other.
bool Cluster::are_apart(PeerId first, PeerId second) const {
  return may_be_refused() && !hears_of(first, second) && !hears_of(second, first);
}

// Two centrals each have a part of the stages, and wait for the rest.
bool Cluster::has_centrals_apart() const {
  std::vector<PeerId> centrals;
  for (const auto& process : processes_) {
    if (!process->is_central() || !process->is_running() || process->has_ended()) continue;
    centrals.push_back(process->self());
  }
  return centrals.size() == 2 && are_apart(centrals[0], centrals[1]);
}

// Two centrals have taken the same term.
void Cluster::check_contested() {
  const auto [first, second] = all_.ownership.contested();
  if (first == 0) return;
  if (are_apart(first, second)) {
    split_ = true;
  } else {
    all_.violations.add("a layer with two owners in a term, from two centrals");
  }
}

// The first central that ends well. Another one that slept nearly until then, that nobody has come
// to, or that took its term so shortly before that nobody has told the first one of it, finds
// nobody who could tell it: it would train the same batches to the same weights.
void Cluster::find_winner() {
  if (winner_ != nullptr) return;
  for (const auto& process : processes_) {
    if (!process->is_central() || !process->has_ended() || process->was_killed()) continue;
    const StatusCode code = process->status().code();
    if (code == StatusCode::kRefused || code == StatusCode::kInterrupted) continue;
    winner_ = process.get();
    done_at_ = all_.world.now();
    check_statuses();
    if (!all_.violations.any()) check_weights();
    for (const auto& other : processes_) {
      const TimeUs since = std::max(other->woken_at(), other->led_at());
      const bool late = other->is_paused() || other->led_at() < 0 || done_at_ - since < kToldUs;
      if (other->is_central() && other != process && late) other->kill(false);
    }
    return;
  }
}

// Central has stopped because somebody has taken part in a newer term, but its leader is gone:
// started again, it takes a newer one.
void Cluster::restart_refused() {
  if (!may_be_refused() || !leader_->has_ended()) return;
  if (leader_->status().code() != StatusCode::kRefused) return;
  const auto goes_on = [](const auto& process) {
    return process->is_central() && process->is_running() && !process->has_ended();
  };
  if (std::any_of(processes_.begin(), processes_.end(), goes_on)) return;
  start_central(disk_, true, leader_->host());
}

// Whether there is nothing left to see.
bool Cluster::is_over() {
  check_contested();
  if (split_) {
    result_.end = RunResult::End::kSplit;
    return true;
  }
  if (all_.violations.any()) return true;
  const TimeUs now = all_.world.now();
  find_winner();
  if (done_at_ >= 0) return now >= done_at_ + kGoodbyeUs;
  const bool struck = next_fault_ == options_.faults.size();
  if (!healed_ && (options_.heal || !struck)) return now - began_ > kGiveUpUs;
  restart_refused();
  if (healed_ && leader_->has_ended()) restart_central();
  const TimeUs since = now - healed_at_;
  const bool waits = std::any_of(processes_.begin(), processes_.end(), [](const auto& process) {
    return process->is_running() && process->is_waiting_for_layers();
  });
  if (waits && since > kWaitingUs && !has_state()) {
    result_.end = RunResult::End::kWaiting;
    return true;
  }
  // An empty disk, and nobody who knows of the run.
  const bool unknown = disk_->run == RunId{} && since > kWaitingUs && !has_state();
  if (unknown) result_.end = RunResult::End::kWaiting;
  if (since > kLivenessUs && has_centrals_apart()) {
    result_.end = RunResult::End::kSplit;
  } else if (since > kLivenessUs) {
    all_.violations.add(has_state() ? "the run does not finish, though its state exists"
                                    : "the run does not finish, and central does not say why");
  }
  return unknown || since > kLivenessUs;
}

RunResult Cluster::run() {
  began_ = all_.world.now();
  if (options_.heal) all_.world.after(kSafetyUs, [this] { heal(); });
  while (!is_over() && all_.world.step()) strike_at_note();
  check_statuses();
  if (all_.violations.any()) {
    result_.end = RunResult::End::kViolation;
    result_.violation = all_.violations.first();
  }
  for (const auto& process : processes_) {
    result_.replayed = std::max(result_.replayed, process->replayed());
    result_.repartitions += process->repartitions();
    const bool refused = process->has_ended() && process->status().code() == StatusCode::kRefused;
    result_.refused += process->is_central() && refused ? 1 : 0;
  }
  result_.reports = (winner_ != nullptr ? winner_ : leader_)->reports_told();
  result_.last_stages = (winner_ != nullptr ? winner_ : leader_)->last_stages();
  result_.in_flight_max = all_.ownership.in_flight_max();
  result_.hash = all_.world.hash();
  result_.notes = all_.world.notes();
  result_.virtual_us = all_.world.now() - began_;
  result_.reconfigurations = all_.terms.count();
  result_.faults_struck = next_fault_;
  result_.text.assign(all_.world.text().begin(), all_.world.text().end());
  return result_;
}

}  // namespace ft::sim
