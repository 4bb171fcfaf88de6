#include "runtime/pipeline/membership.h"

#include <algorithm>

namespace ft {

Device* Membership::find(PeerId peer) {
  const auto found = devices_.find(peer);
  return found == devices_.end() ? nullptr : &found->second;
}

const Device* Membership::find(PeerId peer) const {
  const auto found = devices_.find(peer);
  return found == devices_.end() ? nullptr : &found->second;
}

Device& Membership::add(PeerId peer, const net::Hello& hello) {
  Device& device = devices_[peer];
  device = Device();
  device.hello = hello;
  device.joined = joined_++;
  return device;
}

void Membership::remove(PeerId peer, TimeUs now) {
  const Device& device = devices_.at(peer);
  if (device.admitted_at >= 0 && !device.dismissed) {
    Flap& flap = flaps_[device.hello.name()];
    if (now - device.admitted_at >= kSteadyUs) {
      flap = Flap();
    } else {
      const int doublings = std::min(flap.count++, 16);
      flap.until = now + std::min(kFlapWaitMinUs << doublings, kFlapWaitMaxUs);
    }
  }
  devices_.erase(peer);
}

TimeUs Membership::admitted_from(const std::string& name) const {
  const auto found = flaps_.find(name);
  return found == flaps_.end() ? 0 : found->second.until;
}

int Membership::present() const {
  return static_cast<int>(std::count_if(devices_.begin(), devices_.end(),
                                        [](const auto& entry) { return !entry.second.dismissed; }));
}

void Membership::begin_term(TimeUs now) {
  for (auto& [peer, device] : devices_) {
    device.member = !device.dismissed;
    device.deaf_since = -1;
    if (device.member && device.admitted_at < 0) device.admitted_at = now;
  }
  expect_answers();
}

bool Membership::has_joiners() const {
  return std::any_of(devices_.begin(), devices_.end(), [](const auto& entry) {
    return !entry.second.member && !entry.second.dismissed;
  });
}

bool Membership::has_leaving() const {
  return std::any_of(devices_.begin(), devices_.end(), [](const auto& entry) {
    return entry.second.leaving && !entry.second.dismissed;
  });
}

void Membership::expect_answers() {
  for (auto& [peer, device] : devices_) device.answered = false;
}

bool Membership::all_answered() const {
  return std::all_of(devices_.begin(), devices_.end(), [](const auto& entry) {
    return entry.second.answered || !entry.second.member;
  });
}

std::vector<PeerId> Membership::in_order() const {
  std::vector<PeerId> order;
  for (const auto& [peer, device] : devices_) {
    if (device.member) order.push_back(peer);
  }
  std::sort(order.begin(), order.end(), [this](PeerId a, PeerId b) {
    const Device& left = devices_.at(a);
    const Device& right = devices_.at(b);
    if (left.leaving != right.leaving) return right.leaving;
    return left.joined < right.joined;
  });
  return order;
}

std::set<PeerId> Membership::leaving() const {
  std::set<PeerId> peers;
  for (const auto& [peer, device] : devices_) {
    if (device.leaving) peers.insert(peer);
  }
  return peers;
}

}  // namespace ft
