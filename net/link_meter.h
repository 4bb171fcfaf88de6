#pragma once

// LinkMeter: how fast the link to a peer is, from what is sent anyway: how long a burst of frames
// takes from leaving to being acknowledged. A busy peer or another burst makes it look slower, so
// the best of the last bursts counts. Pure.

#include <cstdint>
#include <deque>

#include "runtime/base/clock.h"

namespace ft {

class LinkMeter {
 public:
  // Frames leave; nothing was in flight before.
  void began(TimeUs now);
  // `bytes` of them have arrived; `idle`: nothing is in flight any more.
  void acknowledged(int64_t bytes, bool idle, TimeUs now);
  // Something small took that long, there and back.
  void round_trip(TimeUs taken);
  // The connection broke, or streams began anew: what is in flight tells nothing.
  void forget_burst() { from_ = -1; }

  // Bytes per microsecond towards the peer; 0 while unknown.
  double bytes_per_us() const;
  // There and back, of something small; 0 while unknown.
  double round_trip_us() const;

 private:
  void close(TimeUs now);

  TimeUs from_ = -1;  // of the burst under way; -1: none
  int64_t bytes_ = 0;
  std::deque<double> rates_;
  std::deque<double> round_trips_;
};

}  // namespace ft
