#pragma once

// Streams: the two ends of an ordered, acknowledged sequence of frames over a connection that may
// break. Pure: time comes in, frames come out; one thread.
//
// The sender numbers its frames from 0 and keeps each until a cumulative acknowledgement covers it.
// Bytes in flight never exceed the window. It resends everything unacknowledged (go-back-N: the
// connection below keeps order, so one loss means that all that followed is lost) when the
// connection is new, when the receiver says it begins (an acknowledgement of nothing), and when no
// acknowledgement has come for long, backing off.
//
// The window grows while acknowledgements come back quickly and shrinks when frames queue on a slow
// link: an urgent transfer waits behind at most about kDelayTargetUs of older frames. It is never
// below what the link carries in that time and a round trip, as far as known (set_floor): a peer
// that pauses is no slow link.

#include <cstdint>
#include <deque>
#include <limits>

#include "net/bulk.h"
#include "net/frame.h"
#include "runtime/base/clock.h"

namespace ft {

constexpr int64_t kWindowBytes = 8 << 20;  // bulk; also what a receiver may have to hold
constexpr int64_t kWindowBytesMin = 32 << 10;
constexpr int64_t kWindowBytesFirst = 2 * kBulkFrameBytesMax;  // until the link is known
constexpr int64_t kControlWindowBytes = 2 << 20;               // two messages of the largest size
constexpr size_t kWindowFrames = 128;
constexpr TimeUs kDelayTargetUs = 15 * kMillisecondUs;
constexpr TimeUs kResendMinUs = kSecondUs;
constexpr TimeUs kResendMaxUs = 8 * kSecondUs;
constexpr TimeUs kNever = std::numeric_limits<TimeUs>::max();

struct WindowOptions {
  int64_t bytes_min = kWindowBytesFirst;
  int64_t bytes_max = kWindowBytes;  // equal to bytes_min: fixed
};

class SendStream {
 public:
  explicit SendStream(const WindowOptions& options);

  // The number that the next pushed frame must carry.
  uint64_t next_sequence() const { return base_ + frames_.size(); }
  // Appends a frame; it may wait for the window.
  void push(Frame frame);
  // Whether a frame of this size, pushed now, would leave at once.
  bool has_room(int64_t frame_bytes) const;

  // The frame to hand to the connection now, or null: nothing is left, or the window is closed.
  const Frame* next() const;
  // next() was handed over. Returns whether it had been before.
  bool sent(TimeUs now);

  // All frames below `next` have arrived. Returns false if that cannot be.
  bool acknowledge(uint64_t next, TimeUs now);
  // The connection is new: whatever is unacknowledged will be sent again.
  void rewind();
  // When resend_overdue() will have something to do; kNever while nothing is in flight.
  TimeUs resend_at() const;
  void resend_overdue(TimeUs now);

  size_t frames_pending() const { return frames_.size(); }  // queued or unacknowledged
  int64_t bytes_pending() const { return bytes_pending_; }
  int64_t bytes_in_flight() const { return bytes_in_flight_; }
  int64_t window_bytes() const { return window_bytes_; }
  // From now on the window may shrink to this, at least kWindowBytesMin and at most what it began
  // with. REQUIRES: the window is not fixed.
  void set_floor(int64_t bytes);

 private:
  struct Entry {
    Frame frame;
    TimeUs sent_at = 0;
    int times_sent = 0;
  };
  bool fits(int64_t frame_bytes) const;
  void adapt_window(TimeUs delay, int64_t bytes, TimeUs now);

  WindowOptions options_;
  int64_t floor_bytes_;
  std::deque<Entry> frames_;  // [0, cursor_) in flight, the rest not sent (again) yet
  uint64_t base_ = 0;         // sequence of frames_[0]
  size_t cursor_ = 0;
  size_t ever_sent_ = 0;  // of frames_, those that were sent at least once
  int64_t bytes_pending_ = 0;
  int64_t bytes_in_flight_ = 0;
  int64_t window_bytes_;
  TimeUs shrink_after_ = 0;  // at most one shrink per round trip
  TimeUs timer_from_ = 0;    // the last sign of progress, or first send after none in flight
  TimeUs patience_us_ = kResendMinUs;
};

enum class Arrival : uint8_t {
  kNext,       // deliver it
  kDuplicate,  // drop it; it will be acknowledged again
  kGap,        // drop it; something before it is missing
};

class ReceiveStream {
 public:
  // `received`: how many frames count as having arrived.
  explicit ReceiveStream(uint64_t received) : next_(received) {}

  Arrival accept(uint64_t sequence, int64_t bytes);
  // So much has arrived that the sender should hear of it before we are idle.
  bool is_ack_due() const;
  // Something has arrived since the last acknowledgement, or none was sent yet.
  bool is_ack_wanted() const { return wanted_; }
  // What an acknowledgement says; 0 tells the sender that we begin.
  uint64_t next() const { return next_; }
  void ack_sent();
  // An acknowledgement may have been lost with its connection.
  void want_ack() { wanted_ = true; }

 private:
  uint64_t next_;
  int64_t bytes_ = 0;  // since the last acknowledgement
  int frames_ = 0;
  bool wanted_ = true;
};

}  // namespace ft
