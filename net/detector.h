#pragma once

// FaultDetector: decides which peers are lost, by what was heard of them (DESIGN 4, detection (a)
// and (b)). A peer is lost when nothing was heard for the failure timeout; or when its connection
// was closed and nothing has been heard since, for a probe's time.
//
// A process that was itself stopped or starved has heard nothing of anybody: when two ticks are
// more than half a timeout apart, everybody starts afresh. Pure.

#include <map>
#include <string>
#include <vector>

#include "net/peer_id.h"
#include "runtime/base/clock.h"

namespace ft {

// Long enough to make a connection anew (zmq_sockets.cpp tries after 50 to 100 ms) and to hear the
// heartbeat that leaves on it at once.
constexpr TimeUs kProbeUs = 240 * kMillisecondUs;

struct FaultDetectorOptions {
  TimeUs failure_timeout_us = kSecondUs;
  TimeUs probe_us = kProbeUs;  // at most the failure timeout counts
};

class FaultDetector {
 public:
  struct Loss {
    PeerId peer = 0;
    std::string cause;     // for people: "connection closed, no answer for 0.3 s"
    TimeUs silent_us = 0;  // since the connection was closed, else since it was last heard
  };

  explicit FaultDetector(const FaultDetectorOptions& options);

  // Watches a peer from now on; adding it again counts as hearing it.
  void add(PeerId peer, TimeUs now);
  void remove(PeerId peer);
  // A peer that is not watched is ignored by these two.
  void heard(PeerId peer, TimeUs now);
  void disconnected(PeerId peer, TimeUs now);

  // Its connection was closed, and it has not been heard since.
  bool is_closed(PeerId peer) const;

  // The peers that are lost, ordered by id. Each is reported once and watched no longer. Call it a
  // few times per probe.
  std::vector<Loss> tick(TimeUs now);
  // Since when this node ticks without having slept: what it waited for before may have come.
  TimeUs awake_since() const { return awake_since_; }

 private:
  struct Watch {
    TimeUs heard_at = 0;
    TimeUs closed_at = -1;  // -1: heard since the connection was closed, or never closed
  };

  FaultDetectorOptions options_;
  std::map<PeerId, Watch> watches_;
  TimeUs last_tick_ = -1;
  TimeUs awake_since_ = 0;
};

}  // namespace ft
