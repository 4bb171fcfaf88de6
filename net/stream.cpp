#include "net/stream.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace ft {
namespace {

// An idle receiver acknowledges at once; these matter when frames keep coming.
constexpr int64_t kAckBytes = kWindowBytes / 8;
constexpr int kAckFrames = static_cast<int>(kWindowFrames) / 4;

}  // namespace

SendStream::SendStream(const WindowOptions& options)
    : options_(options), floor_bytes_(options.bytes_min), window_bytes_(options.bytes_min) {
  FT_CHECK(options.bytes_min > 0 && options.bytes_min <= options.bytes_max);
}

void SendStream::push(Frame frame) {
  bytes_pending_ += frame.bytes();
  frames_.push_back({std::move(frame)});
}

// One frame may always be in flight, whatever its size.
bool SendStream::fits(int64_t frame_bytes) const {
  if (cursor_ >= kWindowFrames) return false;
  return cursor_ == 0 || bytes_in_flight_ + frame_bytes <= window_bytes_;
}

bool SendStream::has_room(int64_t frame_bytes) const {
  return cursor_ == frames_.size() && fits(frame_bytes);
}

const Frame* SendStream::next() const {
  if (cursor_ == frames_.size()) return nullptr;
  const Frame& frame = frames_[cursor_].frame;
  return fits(frame.bytes()) ? &frame : nullptr;
}

bool SendStream::sent(TimeUs now) {
  FT_CHECK(cursor_ < frames_.size());
  if (cursor_ == 0) timer_from_ = now;
  Entry& entry = frames_[cursor_++];
  bytes_in_flight_ += entry.frame.bytes();
  ever_sent_ = std::max(ever_sent_, cursor_);
  entry.sent_at = now;
  return entry.times_sent++ > 0;
}

bool SendStream::acknowledge(uint64_t next, TimeUs now) {
  if (next > base_ + ever_sent_) return false;
  if (next <= base_) {
    if (next == 0 && base_ == 0) rewind();
    return true;
  }
  const size_t count = static_cast<size_t>(next - base_);
  // Only a frame that was sent once tells the delay (Karn).
  const Entry& newest = frames_[count - 1];
  const TimeUs delay = newest.times_sent == 1 ? now - newest.sent_at : -1;
  int64_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const int64_t frame_bytes = frames_.front().frame.bytes();
    bytes += frame_bytes;
    if (i < cursor_) bytes_in_flight_ -= frame_bytes;
    frames_.pop_front();
  }
  bytes_pending_ -= bytes;
  base_ = next;
  cursor_ -= std::min(cursor_, count);
  ever_sent_ -= count;
  timer_from_ = now;
  if (delay >= 0) {
    patience_us_ = std::clamp(4 * delay, kResendMinUs, kResendMaxUs);
    adapt_window(delay, bytes, now);
  }
  return true;
}

void SendStream::adapt_window(TimeUs delay, int64_t bytes, TimeUs now) {
  if (delay < kDelayTargetUs) {
    window_bytes_ = std::min(window_bytes_ + bytes, options_.bytes_max);
  } else if (now >= shrink_after_) {
    window_bytes_ = std::max(window_bytes_ * 3 / 4, floor_bytes_);
    shrink_after_ = now + delay;
  }
}

void SendStream::set_floor(int64_t bytes) {
  FT_CHECK(options_.bytes_min < options_.bytes_max);
  floor_bytes_ =
      std::clamp(bytes, std::min(kWindowBytesMin, options_.bytes_min), options_.bytes_min);
}

void SendStream::rewind() {
  cursor_ = 0;
  bytes_in_flight_ = 0;
}

TimeUs SendStream::resend_at() const { return cursor_ == 0 ? kNever : timer_from_ + patience_us_; }

void SendStream::resend_overdue(TimeUs now) {
  if (now < resend_at()) return;
  rewind();
  patience_us_ = std::min(2 * patience_us_, kResendMaxUs);
}

Arrival ReceiveStream::accept(uint64_t sequence, int64_t bytes) {
  if (sequence > next_) return Arrival::kGap;
  wanted_ = true;
  if (sequence < next_) return Arrival::kDuplicate;
  ++next_;
  ++frames_;
  bytes_ += bytes;
  return Arrival::kNext;
}

bool ReceiveStream::is_ack_due() const { return bytes_ >= kAckBytes || frames_ >= kAckFrames; }

void ReceiveStream::ack_sent() {
  wanted_ = false;
  bytes_ = 0;
  frames_ = 0;
}

}  // namespace ft
