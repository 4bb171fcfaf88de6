// Central and its devices: who comes, who is lost, who leaves.

#include <algorithm>

#include "runtime/pipeline/central.h"

namespace ft {
namespace {

// A member that has said Hello for that long instead of answering does not hear us.
constexpr TimeUs kDeafUs = 3 * kSecondUs;
constexpr TimeUs kStrangerUs = 5 * kSecondUs;
// A device whose heartbeats come must answer a Pause within this; several times the failure
// timeout when that is long.
constexpr TimeUs kAnswerUs = 10 * kSecondUs;
constexpr int kAnswerTimeouts = 5;
// A task that runs that many times longer than any before on its device hangs, but never before
// kHungUs; while none has ended, kHungFirstUs.
constexpr int64_t kHungFactor = 20;
constexpr TimeUs kHungUs = 60 * kSecondUs;
constexpr TimeUs kHungFirstUs = 600 * kSecondUs;

std::string to_text(const RunId& run) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : run) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

RunId to_run(const std::string& bytes) {
  RunId run{};
  if (bytes.size() == run.size()) std::copy(bytes.begin(), bytes.end(), run.begin());
  return run;
}

bool is_hung(const net::Heartbeat& heartbeat) {
  const TimeUs longest = heartbeat.longest_us();
  const TimeUs limit = longest == 0 ? kHungFirstUs : std::max(kHungUs, kHungFactor * longest);
  return heartbeat.running_us() > limit;
}

}  // namespace

// ---- Coming ----

void Central::on_hello(PeerId from, const net::Hello& hello) {
  if (from == options_.self) return;
  if (Device* known = members_.find(from)) {
    // A fresh device repeats its Hello until the Pause reaches it; a member that hears nothing of
    // us goes back to saying Hello.
    detector_.heard(from, now_);
    if (known->member && known->deaf_since < 0) known->deaf_since = now_;
    return;
  }
  const RunId held = to_run(hello.held_run());
  if (held != RunId{}) {
    if (held == options_.run) {
      seen_term_ = std::max(seen_term_, hello.held_term());
      if (seen_term_ > term_ && phase_ >= Phase::kTraining) return on_superseded();
    } else if (refuse_foreign_run(from, hello)) {
      return;
    }
  }
  const Lost lost = lose_predecessor(hello);
  const bool admitted = admit(from, hello);
  if (phase_ == Phase::kWaiting) {
    if (admitted && members_.count() > options_.workers) begin("start");
  } else if (lost.members) {
    go_on_without(lost);
  } else if (admitted && phase_ < Phase::kMoving) {
    begin("join");  // perhaps it holds what the others lack
  }
}

// A device that was started again says Hello before its end was noticed. It has the name of a
// member whose connection is closed; two that live may well have the same.
Central::Lost Central::lose_predecessor(const net::Hello& hello) {
  for (const auto& [peer, device] : members_.all()) {
    if (device.hello.name() != hello.name() || !detector_.is_closed(peer)) continue;
    return lose(peer, "it was started again", 0);
  }
  return {};
}

bool Central::admit(PeerId from, const net::Hello& hello) {
  const bool urgent = phase_ == Phase::kWaiting || waiting_for_layers_;
  if (!urgent && now_ < members_.admitted_from(hello.name())) return false;
  if (!hello.model_sha256().empty() && hello.model_sha256() != options_.model_sha256) {
    net::Control answer;
    answer.mutable_refuse()->set_reason(
        "it has another model than central; start it with the same file, or without one");
    answer_stranger(from, hello, std::move(answer));
    return false;
  }
  actions_.push_back(
      ConnectPeer{from, hello.control_endpoint(), hello.bulk_endpoint(), hello.public_key()});
  members_.add(from, hello);
  detector_.add(from, now_);
  tell(DeviceJoinedReport{hello.name(), members_.present()});
  return true;
}

// Whoever is not taken in is told why, and its connection closed after a while.
void Central::answer_stranger(PeerId from, const net::Hello& hello, net::Control answer) {
  actions_.push_back(
      ConnectPeer{from, hello.control_endpoint(), hello.bulk_endpoint(), hello.public_key()});
  send(from, std::move(answer));
  strangers_[from] = now_ + kStrangerUs;
}

// Returns false when the run is the one to go on with, or may become it.
bool Central::refuse_foreign_run(PeerId from, const net::Hello& hello) {
  const RunId held = to_run(hello.held_run());
  if (hello.held_run() == options_.discard_run) {
    net::Control answer;
    answer.mutable_discard()->set_run(hello.held_run());
    answer_stranger(from, hello, std::move(answer));
    return true;  // it says Hello again, without a run
  }
  if (options_.run == RunId{} && options_.restart.resume) {
    options_.run = held;
    gather_until_ = -1;
    seen_term_ = hello.held_term();
    return false;
  }
  const std::string run = to_text(held);
  if (phase_ != Phase::kWaiting) {
    if (told_foreign_.insert(from).second) tell(ForeignRunReport{hello.name(), run});
    return true;
  }
  stop(
      refused_error("stage %s holds the state of an unfinished run, %s: go on with that run "
                    "(--resume), or make the stages forget it (--discard-run %s)",
                    hello.name().c_str(), run.c_str(), run.c_str()));
  return true;
}

// ---- Being there ----

void Central::on_heartbeat(PeerId from, const net::Control& message) {
  if (options_.run != RunId{} && to_run(message.run()) == options_.run) {
    // Of our own term: two centrals have taken the same one, and this device follows the other.
    const PeerId central = message.heartbeat().central();
    const bool other = central != 0 && central != options_.self;
    if (message.term() > term_ || (other && message.term() == term_)) return on_superseded();
  }
  Device* device = members_.find(from);
  // An older term's heartbeat says that its sender has not heard our Pause: it does not count.
  if (device == nullptr || (device->member && message.term() < term_ && message.term() > 0)) return;
  detector_.heard(from, now_);
  device->deaf_since = -1;
  for (const net::LinkSpeed& link : message.heartbeat().links()) note_link(from, link);
  if (device->member && is_hung(message.heartbeat())) {
    const net::Heartbeat& beat = message.heartbeat();
    const std::string cause =
        format("hangs: a task has run for %.0f s, the longest before took %.1f s",
               static_cast<double>(beat.running_us()) / kSecondUs,
               static_cast<double>(beat.longest_us()) / kSecondUs);
    if (lose(from, cause, beat.running_us()).members) begin("failure");
  }
}

// Somebody else leads this run: two centrals must never both train.
void Central::on_superseded() {
  phase_ = Phase::kDone;
  actions_.push_back(
      Exit{refused_error("another central has taken over run %s: this one was away too long and "
                         "stops; its run directory may be behind the other's",
                         to_text(options_.run).c_str())});
}

void Central::on_unreachable(PeerId from, PeerId peer) {
  const Device* other = members_.find(peer);
  if (other == nullptr || peer == options_.self || from == options_.self) return;
  if (!unreachable_.insert(std::minmax(from, peer)).second) return;
  tell(UnreachableReport{members_.at(from).hello.name(), other->hello.name()});
  begin("failure");
}

// ---- Going ----

// Several may be lost at once: one new term for all of them.
void Central::find_losses() {
  Lost lost;
  const auto take = [&](PeerId peer, const std::string& cause, TimeUs silent_us) {
    const Lost one = lose(peer, cause, silent_us);
    lost.members = lost.members || one.members;
    lost.stages = lost.stages || one.stages;
  };
  for (const FaultDetector::Loss& loss : detector_.tick(now_)) {
    take(loss.peer, loss.cause, loss.silent_us);
  }
  const TimeUs awake = detector_.awake_since();
  std::vector<std::pair<PeerId, std::string>> others;
  for (const auto& [peer, device] : members_.all()) {
    if (!device.member || peer == options_.self) continue;
    if (device.deaf_since >= 0 && now_ - std::max(device.deaf_since, awake) >= kDeafUs) {
      others.emplace_back(peer, "it does not hear central");
    } else if (phase_ == Phase::kPausing && !device.answered &&
               now_ - std::max(paused_at_, awake) >= answer_time()) {
      others.emplace_back(peer, "it does not answer");
    }
  }
  for (const auto& [peer, cause] : others) take(peer, cause, 0);
  if (lost.members) go_on_without(lost);
}

// While only devices without layers are lost, the pipeline is whole: it drains, and nothing is
// replayed.
void Central::go_on_without(const Lost& lost) {
  if (lost.stages || phase_ != Phase::kTraining) return begin("failure");
  if (drain_reason_.empty() && next_batch_ < batches_) drain("failure");
}

TimeUs Central::answer_time() const {
  return std::max(kAnswerUs, kAnswerTimeouts * options_.failure_timeout_us);
}

Central::Lost Central::lose(PeerId peer, const std::string& cause, TimeUs silent_us) {
  const Device* device = members_.find(peer);
  if (device == nullptr) return {};
  const bool stage = is_stage(peer);
  const std::string name = device->hello.name();
  const bool dismissed = device->dismissed;
  const bool was_member = phase_ != Phase::kWaiting && device->member;
  members_.remove(peer, now_);
  book_.forget(peer);
  std::erase_if(links_, [peer](const auto& entry) {
    return entry.first.first == peer || entry.first.second == peer;
  });
  detector_.remove(peer);
  actions_.push_back(DisconnectPeer{peer});
  if (dismissed) return {};
  tell(DeviceLostReport{name, cause, members_.present()});
  if (was_member) phases_.detect_us = std::max(phases_.detect_us, silent_us);
  return {was_member, was_member && stage};
}

// ---- Voluntary changes: the pipeline drains first, so that nothing is replayed ----

void Central::admit_and_dismiss() {
  maybe_dismiss();
  if (!drain_reason_.empty() || next_batch_ >= batches_) return;
  if (members_.has_joiners()) {
    drain("join");
  } else if (members_.has_leaving() && !leaving_seen_) {
    drain("leave");
  }
}

void Central::drain(const std::string& reason) {
  drain_reason_ = reason;
  phases_ = Phases{phases_.detect_us, 0, 0, 0, 0};
  lap_from_ = now_;
}

// Everything that was begun is finished: the newest version becomes a cut that others can fetch.
void Central::maybe_drained() {
  if (drain_reason_.empty() || phase_ != Phase::kTraining) return;
  if (next_micro_ != 0 || finished_ + 1 < next_batch_ || loads_ > 0 || !evaluations_.empty()) {
    return;
  }
  phase_ = Phase::kDraining;
  if (finished_ < 0 || book_.is_whole(finished_)) return begin(drain_reason_);
  net::Control message;
  message.mutable_hold_cut()->set_version(finished_);
  send_all(message);
}

// Whoever leaves may go when the cut that training resumed from is safe without it.
void Central::maybe_dismiss() {
  if (!leaving_seen_ || phase_ != Phase::kTraining) return;
  if (resumed_version_ >= 0 && complete_ < resumed_version_) return;
  for (auto& [peer, device] : members_.all()) {
    if (!device.leaving || device.dismissed || is_stage(peer)) continue;
    device.dismissed = true;
    net::Control message;
    message.mutable_finish();
    send(peer, std::move(message));
    tell(DeviceLeftReport{device.hello.name(), members_.present()});
  }
  leaving_seen_ = false;
}

}  // namespace ft
