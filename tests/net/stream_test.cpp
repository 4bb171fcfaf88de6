// Streams over a network that drops, duplicates and reorders: exactly once, in order, within the
// window.

#include "net/stream.h"

#include <algorithm>
#include <cstring>
#include <doctest/doctest.h>
#include <vector>

#include "tests/net/draw.h"

namespace ft {
namespace {

constexpr WindowOptions kFixed{1000, 1000};

Frame frame_of(size_t bytes, uint64_t sequence = 0) {
  Frame frame;
  frame.head.assign(std::max(bytes, sizeof(sequence)), '\0');
  std::memcpy(frame.head.data(), &sequence, sizeof(sequence));
  return frame;
}

uint64_t sequence_of(const Frame& frame) {
  uint64_t sequence = 0;
  std::memcpy(&sequence, frame.head.data(), sizeof(sequence));
  return sequence;
}

// Sends all that may leave; returns the sequence numbers.
std::vector<uint64_t> send_all(SendStream* stream, TimeUs now) {
  std::vector<uint64_t> sequences;
  while (const Frame* frame = stream->next()) {
    sequences.push_back(sequence_of(*frame));
    stream->sent(now);
  }
  return sequences;
}

using Sequences = std::vector<uint64_t>;

struct InFlight {
  TimeUs arrives = 0;
  uint64_t sequence = 0;
  int64_t bytes = 0;
};

// One sender, one receiver and a bad network between them, in simulated time.
class Lossy {
 public:
  explicit Lossy(uint64_t seed) : draw_(seed) {}

  // Until `count` frames have been delivered.
  void run(uint64_t count) {
    while (delivered_ < count) {
      now_ += static_cast<TimeUs>(draw_.below(20 * kMillisecondUs));
      REQUIRE(now_ < 3600 * kSecondUs);
      if (sender_.next_sequence() < count && draw_.chance(70)) {
        sender_.push(frame_of(8 + draw_.below(static_cast<uint64_t>(kChunkBytesMax)),
                              sender_.next_sequence()));
      }
      if (draw_.chance(1)) {  // the connection breaks
        frames_.clear();
        acks_.clear();
        sender_.rewind();
      }
      send();
      receive();
    }
    while (sender_.frames_pending() > 0) {
      now_ += 20 * kMillisecondUs;
      REQUIRE(now_ < 3600 * kSecondUs);
      send();
      receive();
    }
    CHECK(sender_.bytes_pending() == 0);
    CHECK(sender_.bytes_in_flight() == 0);
    CHECK(sender_.resend_at() == kNever);
    CHECK(delivered_ == count);
    CHECK(resent_ > 0);
  }

 private:
  void send() {
    sender_.resend_overdue(now_);
    while (const Frame* frame = sender_.next()) {
      transmit(&frames_, sequence_of(*frame), frame->bytes());
      resent_ += sender_.sent(now_) ? 1 : 0;
      REQUIRE(sender_.bytes_in_flight() <= kWindowBytes);
      REQUIRE(sender_.window_bytes() <= kWindowBytes);
      REQUIRE(sender_.window_bytes() >= kWindowBytesMin);
    }
  }

  void receive() {
    for (const InFlight& item : arrived(&frames_)) {
      if (receiver_.accept(item.sequence, item.bytes) != Arrival::kNext) continue;
      REQUIRE(item.sequence == delivered_);
      ++delivered_;
    }
    if (receiver_.is_ack_due() || (receiver_.is_ack_wanted() && draw_.chance(50))) {
      transmit(&acks_, receiver_.next(), 0);
      receiver_.ack_sent();
    }
    for (const InFlight& item : arrived(&acks_)) {
      REQUIRE(sender_.acknowledge(item.sequence, now_));
    }
  }

  void transmit(std::vector<InFlight>* wire, uint64_t sequence, int64_t bytes) {
    if (draw_.chance(5)) return;
    for (int copies = draw_.chance(5) ? 2 : 1; copies > 0; --copies) {
      const auto delay = static_cast<TimeUs>(draw_.below(30 * kMillisecondUs));
      wire->push_back({now_ + delay, sequence, bytes});
    }
  }

  std::vector<InFlight> arrived(std::vector<InFlight>* wire) {
    std::vector<InFlight> now;
    std::erase_if(*wire, [&](const InFlight& item) {
      if (item.arrives > now_) return false;
      now.push_back(item);
      return true;
    });
    return now;
  }

  Draw draw_;
  SendStream sender_{WindowOptions{}};
  ReceiveStream receiver_{0};
  std::vector<InFlight> frames_;
  std::vector<InFlight> acks_;
  TimeUs now_ = 0;
  uint64_t delivered_ = 0;
  int resent_ = 0;
};

}  // namespace

TEST_CASE("stream: a network that drops, duplicates, reorders and breaks delivers once, in order") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Lossy(seed).run(300);
  }
}

TEST_CASE("stream: the window bounds what is unacknowledged") {
  SendStream stream(kFixed);
  for (uint64_t i = 0; i < 5; ++i) stream.push(frame_of(400, i));
  CHECK(send_all(&stream, 0) == Sequences{0, 1});
  CHECK(stream.bytes_in_flight() == 800);
  CHECK(stream.acknowledge(1, 10));
  CHECK(send_all(&stream, 10) == Sequences{2});
  CHECK(stream.acknowledge(3, 20));
  CHECK(send_all(&stream, 20) == Sequences{3, 4});
  CHECK(!stream.has_room(201));
  CHECK(stream.has_room(200));
}

TEST_CASE("stream: a frame above the window travels alone; frames are bounded by count, too") {
  SendStream large(kFixed);
  large.push(frame_of(5000, 0));
  large.push(frame_of(10, 1));
  CHECK(send_all(&large, 0) == Sequences{0});
  CHECK(large.acknowledge(1, 0));
  CHECK(send_all(&large, 0) == Sequences{1});

  SendStream many(WindowOptions{});
  for (uint64_t i = 0; i < 2 * kWindowFrames; ++i) many.push(frame_of(8, i));
  CHECK(send_all(&many, 0).size() == kWindowFrames);
}

TEST_CASE("stream: unacknowledged frames are resent after a while, ever less often") {
  SendStream stream(kFixed);
  for (uint64_t i = 0; i < 3; ++i) stream.push(frame_of(100, i));
  send_all(&stream, 0);
  CHECK(stream.resend_at() == kResendMinUs);
  stream.resend_overdue(kResendMinUs - 1);
  CHECK(stream.next() == nullptr);
  TimeUs now = kResendMinUs;
  TimeUs wait = kResendMinUs;
  for (int round = 0; round < 6; ++round) {
    stream.resend_overdue(now);
    CHECK(send_all(&stream, now) == Sequences{0, 1, 2});
    wait = std::min(2 * wait, kResendMaxUs);
    CHECK(stream.resend_at() == now + wait);
    now += wait;
  }
  CHECK(stream.acknowledge(3, now));
  CHECK(stream.resend_at() == kNever);
}

TEST_CASE("stream: an acknowledgement of nothing says that the receiver begins: resend at once") {
  SendStream stream(kFixed);
  stream.push(frame_of(100, 0));
  send_all(&stream, 0);
  CHECK(stream.acknowledge(0, 1));
  CHECK(send_all(&stream, 1) == Sequences{0});
  CHECK(stream.acknowledge(1, 2));
  stream.push(frame_of(100, 1));
  send_all(&stream, 3);
  CHECK(stream.acknowledge(0, 4));  // late: it has begun long ago
  CHECK(stream.next() == nullptr);
}

TEST_CASE("stream: an acknowledgement of what was never sent is a contradiction") {
  SendStream stream(kFixed);
  CHECK(!stream.acknowledge(1, 0));
  for (uint64_t i = 0; i < 3; ++i) stream.push(frame_of(600, i));
  send_all(&stream, 0);  // one fits
  CHECK(!stream.acknowledge(2, 0));
  CHECK(!stream.acknowledge(UINT64_MAX, 0));
  CHECK(stream.acknowledge(1, 0));
  CHECK(stream.acknowledge(1, 0));  // again: harmless
}

TEST_CASE("stream: an acknowledgement that crosses a rewind counts") {
  SendStream stream(kFixed);
  for (uint64_t i = 0; i < 4; ++i) stream.push(frame_of(100, i));
  send_all(&stream, 0);
  stream.rewind();
  stream.next();
  stream.sent(1);
  CHECK(stream.acknowledge(3, 2));
  CHECK(stream.bytes_in_flight() == 0);
  CHECK(send_all(&stream, 2) == Sequences{3});
}

TEST_CASE("stream: the window shrinks when frames queue and grows when they do not") {
  SendStream stream(WindowOptions{1000, 8000});
  TimeUs now = 0;
  const auto exchange = [&](TimeUs delay) {
    stream.push(frame_of(1000));
    send_all(&stream, now);
    now += delay;
    CHECK(stream.acknowledge(stream.next_sequence(), now));
  };
  for (int i = 0; i < 20; ++i) exchange(kMillisecondUs);
  CHECK(stream.window_bytes() == 8000);
  for (int i = 0; i < 40; ++i) exchange(2 * kDelayTargetUs);
  CHECK(stream.window_bytes() == 1000);
}

TEST_CASE("stream: on a slow link the window shrinks to what that carries, not below the least") {
  SendStream stream(WindowOptions{});
  TimeUs now = 0;
  const auto exchange_slowly = [&] {
    for (int i = 0; i < 40; ++i) {
      stream.push(frame_of(1000));
      send_all(&stream, now);
      now += 2 * kDelayTargetUs;
      CHECK(stream.acknowledge(stream.next_sequence(), now));
    }
    return stream.window_bytes();
  };
  CHECK(exchange_slowly() == kWindowBytesFirst);
  stream.set_floor(100'000);
  CHECK(exchange_slowly() == 100'000);
  stream.set_floor(1);
  CHECK(exchange_slowly() == kWindowBytesMin);
  stream.set_floor(int64_t{1} << 40);
  CHECK(exchange_slowly() == kWindowBytesFirst);
}

TEST_CASE("stream: the receiver delivers the next frame only") {
  ReceiveStream stream(0);
  CHECK(stream.is_ack_wanted());  // says that it begins
  stream.ack_sent();
  CHECK(stream.accept(1, 10) == Arrival::kGap);
  CHECK(!stream.is_ack_wanted());
  CHECK(stream.accept(0, 10) == Arrival::kNext);
  CHECK(stream.accept(1, 10) == Arrival::kNext);
  stream.ack_sent();
  CHECK(stream.accept(0, 10) == Arrival::kDuplicate);
  CHECK(stream.is_ack_wanted());  // the acknowledgement was lost
  CHECK(stream.next() == 2);
  CHECK(!stream.is_ack_due());
  CHECK(stream.accept(2, kWindowBytes) == Arrival::kNext);
  CHECK(stream.is_ack_due());
  CHECK(ReceiveStream(1).next() == 1);
}

}  // namespace ft
