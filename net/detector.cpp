#include "net/detector.h"

#include <algorithm>

#include "runtime/base/check.h"
#include "runtime/base/status.h"

namespace ft {
namespace {

double seconds(TimeUs duration) { return static_cast<double>(duration) / kSecondUs; }

}  // namespace

FaultDetector::FaultDetector(const FaultDetectorOptions& options) : options_(options) {
  FT_CHECK(options_.failure_timeout_us > 0 && options_.probe_us > 0);
  options_.probe_us = std::min(options_.probe_us, options_.failure_timeout_us);
}

void FaultDetector::add(PeerId peer, TimeUs now) { watches_[peer] = {now, -1}; }

void FaultDetector::remove(PeerId peer) { watches_.erase(peer); }

void FaultDetector::heard(PeerId peer, TimeUs now) {
  const auto found = watches_.find(peer);
  if (found != watches_.end()) found->second = {now, -1};
}

void FaultDetector::disconnected(PeerId peer, TimeUs now) {
  const auto found = watches_.find(peer);
  if (found != watches_.end() && found->second.closed_at < 0) found->second.closed_at = now;
}

bool FaultDetector::is_closed(PeerId peer) const {
  const auto found = watches_.find(peer);
  return found != watches_.end() && found->second.closed_at >= 0;
}

std::vector<FaultDetector::Loss> FaultDetector::tick(TimeUs now) {
  if (last_tick_ >= 0 && now - last_tick_ > options_.failure_timeout_us / 2) {
    awake_since_ = now;
    for (auto& [peer, watch] : watches_) {
      watch.heard_at = now;
      if (watch.closed_at >= 0) watch.closed_at = now;
    }
  }
  last_tick_ = now;
  std::vector<Loss> losses;
  for (const auto& [peer, watch] : watches_) {
    const TimeUs silent = now - watch.heard_at;
    if (watch.closed_at >= 0 && now - watch.closed_at >= options_.probe_us) {
      losses.push_back(
          {peer, format("connection closed, no answer for %.1f s", seconds(now - watch.closed_at)),
           now - watch.closed_at});
    } else if (silent >= options_.failure_timeout_us) {
      losses.push_back({peer, format("nothing heard for %.1f s", seconds(silent)), silent});
    }
  }
  for (const Loss& loss : losses) watches_.erase(loss.peer);
  return losses;
}

}  // namespace ft
