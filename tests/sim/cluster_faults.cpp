// Cluster and its faults: when they strike, what they do, and how all is healed.

#include <algorithm>

#include "tests/sim/cluster.h"

namespace ft::sim {
namespace {

constexpr int kSecondHost = 90;
constexpr TimeUs kSlowLatencyUs = 150 * kMillisecondUs;
constexpr int64_t kSlowBytesPerS = 20'000;
constexpr int kDuplicatePercent = 20;
// From the last fault to the healing, at most.
constexpr TimeUs kLastUs = 3 * kSecondUs;

// Some device or link answers late from then on, or not at all.
bool is_slow(FaultKind kind) {
  switch (kind) {
    case FaultKind::kCrash:
    case FaultKind::kLeave:
    case FaultKind::kJoin:
    case FaultKind::kCentralCrash:
    case FaultKind::kRestart:
    case FaultKind::kHeal:
      return false;
    default:
      return true;
  }
}

}  // namespace

// ---- When ----

void Cluster::arm() {
  due_ = false;
  if (next_fault_ == options_.faults.size()) {
    if (options_.heal && next_fault_ > 0) {
      all_.world.after(dice_.below(kLastUs), [this] { heal(); });
    }
    return;
  }
  const Trigger& when = options_.faults[next_fault_].when;
  const bool passed = when.kind == Trigger::Kind::kBatch && newest_batch_ >= when.batch;
  if (when.kind != Trigger::Kind::kAfter && !passed) return;
  due_ = true;
  all_.world.after(when.delay, [this] { strike(); });
}

void Cluster::happened(Moment moment, int64_t value) {
  if (moment == Moment::kBatch) newest_batch_ = std::max(newest_batch_, value);
  if (due_ || next_fault_ == options_.faults.size()) return;
  const Trigger& when = options_.faults[next_fault_].when;
  const bool is_batch = when.kind == Trigger::Kind::kBatch && newest_batch_ >= when.batch;
  const bool is_moment = when.kind == Trigger::Kind::kMoment && when.moment == moment;
  if (!is_batch && !is_moment) return;
  due_ = true;
  all_.world.after(when.delay, [this] { strike(); });
}

void Cluster::strike() {
  if (healed_ || done_at_ >= 0) return;
  const Fault& fault = options_.faults[next_fault_++];
  all_.world.note("fault", name_of(fault.kind), fault.device, fault.other, fault.duration);
  if (!options_.heal) healed_at_ = all_.world.now();
  apply(fault);
  arm();
}

void Cluster::strike_at_note() {
  if (next_fault_ == options_.faults.size()) return;
  const Trigger& when = options_.faults[next_fault_].when;
  if (when.kind == Trigger::Kind::kNote && all_.world.notes() >= when.batch) strike();
}

// ---- What ----

void Cluster::apply(const Fault& fault) {
  ++result_.faults[static_cast<size_t>(fault.kind)];
  if (is_slow(fault.kind)) all_.snapshots.not_prompt();
  switch (fault.kind) {
    case FaultKind::kPartition:
    case FaultKind::kOneWay:
    case FaultKind::kCut:
    case FaultKind::kSlowLink:
    case FaultKind::kDuplicate:
      return apply_to_link(fault);
    case FaultKind::kCentralCrash:
    case FaultKind::kCentralPowerLoss:
    case FaultKind::kCentralWiped:
      return crash_central(fault);
    case FaultKind::kCentralInterrupt:
      leader_->interrupt();
      return lasts(fault.duration, [this] { restart_central(); });
    case FaultKind::kTwoCentrals:
    case FaultKind::kTwoCentralsCopy:
      return take_over(fault);
    case FaultKind::kJoin: {
      const auto device = static_cast<int>(devices_.size());
      devices_.push_back({"stage-" + std::to_string(device), nullptr, 0});
      return start_stage(device);
    }
    case FaultKind::kHeal:
      return heal();
    default:
      return apply_to_stage(fault);
  }
}

void Cluster::lasts(TimeUs duration, std::function<void()> end) {
  if (duration == kForGood) return;
  all_.world.after(duration, [this, end = std::move(end)] {
    if (!healed_ && done_at_ < 0) end();
  });
}

void Cluster::pause(Process* process, TimeUs duration) {
  process->pause();
  lasts(duration, [process] { process->wake(); });
}

void Cluster::apply_to_stage(const Fault& fault) {
  Process* process = devices_[static_cast<size_t>(fault.device)].process;
  const bool runs = process != nullptr && process->is_running();
  if (fault.kind == FaultKind::kRestart) {
    if (!runs) start_stage(fault.device);
    return;
  }
  if (!runs) return;
  switch (fault.kind) {
    case FaultKind::kCrash:
    case FaultKind::kPowerLoss:
      process->kill(fault.kind == FaultKind::kPowerLoss);
      lasts(fault.duration, [this, device = fault.device] {
        if (!devices_[static_cast<size_t>(device)].process->is_running()) start_stage(device);
      });
      return;
    case FaultKind::kPause:
      return pause(process, fault.duration);
    case FaultKind::kSlowDevice:
      process->set_slowness(fault.factor);
      lasts(fault.duration, [process] { process->set_slowness(1); });
      return;
    case FaultKind::kLeave:
      return process->interrupt();
    default:
      return;
  }
}

void Cluster::each_way(const Fault& fault, const std::function<void(Link*)>& change) {
  change(&all_.network.link(fault.device, fault.other));
  change(&all_.network.link(fault.other, fault.device));
}

void Cluster::apply_to_link(const Fault& fault) {
  const int a = fault.device;
  const int b = fault.other;
  switch (fault.kind) {
    case FaultKind::kPartition:
      all_.network.block(b, a);
      [[fallthrough]];
    case FaultKind::kOneWay:
      all_.network.block(a, b);
      lasts(fault.duration, [this, a, b] {
        all_.network.heal(a, b);
        all_.network.heal(b, a);
      });
      return;
    case FaultKind::kCut:
      return all_.network.cut(a, b);
    case FaultKind::kSlowLink:
      each_way(fault, [](Link* link) {
        link->latency = kSlowLatencyUs;
        link->bytes_per_s = kSlowBytesPerS;
      });
      lasts(fault.duration, [this, fault] {
        each_way(fault, [this](Link* link) {
          link->latency = all_.spec.latency_us;
          link->bytes_per_s = all_.spec.bytes_per_s;
        });
      });
      return;
    case FaultKind::kDuplicate:
      each_way(fault, [](Link* link) { link->duplicate_percent = kDuplicatePercent; });
      lasts(fault.duration,
            [this, fault] { each_way(fault, [](Link* link) { link->duplicate_percent = 0; }); });
      return;
    default:
      return;
  }
}

void Cluster::crash_central(const Fault& fault) {
  if (!leader_->is_running()) return;
  leader_->kill(fault.kind == FaultKind::kCentralPowerLoss);
  SimDisk* disk = disk_;
  if (fault.kind == FaultKind::kCentralWiped) {
    SimDisk empty;
    empty.began_empty = true;
    ++strangers_;
    disk = add_disk(empty);
    disk_ = disk;
  }
  lasts(fault.duration, [this, disk] {
    if (leader_->was_killed()) start_central(disk, true, leader_->host());
  });
}

// If it is gone, but for good.
void Cluster::restart_central() {
  const bool interrupted =
      leader_->has_ended() && leader_->status().code() == StatusCode::kInterrupted;
  if (leader_->was_killed() || interrupted) start_central(disk_, true, leader_->host());
}

// Central sleeps; somebody takes it for dead and starts another one elsewhere, at its address.
void Cluster::take_over(const Fault& fault) {
  if (!leader_->is_running()) return;
  pause(leader_, fault.duration);
  SimDisk copy;
  copy.began_empty = true;
  if (fault.kind == FaultKind::kTwoCentralsCopy) {
    copy = *disk_;
    copy.lost_events = true;  // it gets behind
  }
  Process* const first = leader_;
  SimDisk* const behind = disk_;
  const int host = kSecondHost + static_cast<int>(processes_.size() % 50);
  all_.world.after(dice_.below(3 * kSecondUs), [this, copy, first, behind, host] {
    if (healed_ || done_at_ >= 0 || leader_ != first || !first->is_paused()) return;
    strangers_ += 2;
    behind->lost_events = true;  // of what the other one trains, should the first go on after all
    start_central(add_disk(copy), true, host);
  });
}

// ---- Healing ----

void Cluster::heal() {
  if (healed_ || done_at_ >= 0) return;
  healed_ = options_.heal;
  healed_at_ = all_.world.now();
  all_.world.note("fault", "all is healed");
  all_.network.heal_all();
  restart_central();
  int stages = 0;
  for (const auto& process : processes_) {
    process->wake();
    process->set_slowness(1);
  }
  for (size_t i = 1; i < devices_.size(); ++i) {
    const Process* process = devices_[i].process;
    const bool left = process != nullptr && process->has_ended() && !process->was_killed();
    const bool runs = process != nullptr && process->is_running() && !left;
    if (!runs && (!left || stages < workers_)) start_stage(static_cast<int>(i));
    if (!left) ++stages;
  }
}

}  // namespace ft::sim
