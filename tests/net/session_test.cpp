// One term's exchange with one peer.

#include "net/session.h"

#include <doctest/doctest.h>
#include <vector>

namespace ft {
namespace {

const Envelope kEnvelope{{1}, 3, 42};

net::Control ready() {
  net::Control message;
  message.mutable_ready();
  return message;
}

BulkHeader header_of(const Frame& frame) {
  const auto head = std::as_bytes(std::span(frame.head));
  Result<BulkHeader> header = decode_bulk_header(head, frame.body_span().size());
  REQUIRE(header.ok());
  return *header;
}

void send_tensor(Session* session, int32_t item, int64_t bytes, Priority priority) {
  const BulkName name{BulkKind::kGradient, 0, 0, item};
  REQUIRE(session->send_bulk(name, make_buffer(static_cast<size_t>(bytes)), priority));
}

// Hands over all that may leave now; returns which items' chunks left.
std::vector<int32_t> pump(Session* session) {
  std::vector<int32_t> items;
  while (const Frame* frame = session->next(Channel::kBulk)) {
    items.push_back(header_of(*frame).name.item);
    session->sender(Channel::kBulk).sent(0);
  }
  return items;
}

}  // namespace

TEST_CASE("session: messages leave stamped and numbered from 0") {
  Session session(kEnvelope, false);
  for (uint64_t i = 0; i < 3; ++i) {
    REQUIRE(session.send(ready()));
    const Frame* frame = session.next(Channel::kControl);
    REQUIRE(frame != nullptr);
    const auto message = decode_control(std::as_bytes(std::span(frame->head)));
    REQUIRE(message.ok());
    CHECK(message->sequence() == i);
    CHECK(message->term() == 3);
    CHECK(message->sender() == 42);
    CHECK(run_of(*message) == kEnvelope.run);
    session.sender(Channel::kControl).sent(0);
  }
}

TEST_CASE("session: chunks carry run, term, sender and consecutive numbers") {
  Session session(kEnvelope, false);
  send_tensor(&session, 5, kChunkBytesMax + 7, Priority::kPipeline);
  for (uint64_t i = 0; i < 2; ++i) {
    const Frame* frame = session.next(Channel::kBulk);
    REQUIRE(frame != nullptr);
    const BulkHeader header = header_of(*frame);
    CHECK(header.run == kEnvelope.run);
    CHECK(header.term == 3);
    CHECK(header.sender == 42);
    CHECK(header.sequence == i);
    CHECK(header.offset == static_cast<int64_t>(i) * kChunkBytesMax);
    session.sender(Channel::kBulk).sent(0);
  }
  CHECK(session.bulk_bytes_pending() == kChunkBytesMax + 7 + 2 * 112);
  CHECK(session.sender(Channel::kBulk).acknowledge(2, 0));
  CHECK(session.bulk_bytes_pending() == 0);
  CHECK(session.is_idle());
}

TEST_CASE("session: while the window is closed an urgent transfer overtakes, numbers do not") {
  Session session(kEnvelope, false);
  send_tensor(&session, 1, 10 * kChunkBytesMax, Priority::kReplica);
  const std::vector<int32_t> first = pump(&session);
  CHECK(first == std::vector<int32_t>{1, 1});  // the smallest window: two full chunks
  send_tensor(&session, 2, 100, Priority::kPipeline);
  CHECK(pump(&session).empty());
  CHECK(session.sender(Channel::kBulk).acknowledge(1, 0));
  CHECK(pump(&session).front() == 2);
}

TEST_CASE("session: on a slow link chunks are half the window") {
  Session session(kEnvelope, false);
  SendStream& stream = session.sender(Channel::kBulk);
  stream.set_floor(kWindowBytesMin);
  send_tensor(&session, 1, 10 * kChunkBytesMax, Priority::kReplica);
  TimeUs now = 0;
  int32_t chunk_bytes = 0;
  for (int i = 0; i < 40; ++i) {
    chunk_bytes = header_of(*session.next(Channel::kBulk)).chunk_bytes;
    stream.sent(now);
    now += 2 * kDelayTargetUs;
    CHECK(stream.acknowledge(stream.next_sequence(), now));
  }
  CHECK(chunk_bytes == kWindowBytesMin / 2 - static_cast<int64_t>(kBulkHeaderBytes));
}

TEST_CASE("session: too much for a peer that acknowledges nothing is refused, not queued") {
  Session session(kEnvelope, false);
  size_t queued = 0;
  while (session.send(ready())) ++queued;
  CHECK(queued == kControlQueuedMax);
  session.end();
  CHECK(session.is_ended());
  CHECK(session.is_idle());
  CHECK(session.send(ready()));  // forgotten
  CHECK(session.next(Channel::kControl) == nullptr);
}

TEST_CASE("session: a Pause that led to the term counts as received") {
  Session session(kEnvelope, true);
  CHECK(session.is_used());
  CHECK(session.receiver(Channel::kControl).next() == 1);
  CHECK(session.receiver(Channel::kControl).accept(0, 10) == Arrival::kDuplicate);
  CHECK(session.receiver(Channel::kBulk).next() == 0);
  CHECK(!Session(kEnvelope, false).is_used());
}

}  // namespace ft
