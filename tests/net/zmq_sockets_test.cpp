// ZeroMQ's sockets by themselves: that a wait ends when there is something to do, and not before.

#include "net/zmq_sockets.h"

#include <doctest/doctest.h>

#include "net/bulk.h"
#include "net/socket.h"

namespace {

constexpr ft::TimeUs kLongUs = 10 * ft::kSecondUs;

// One that listens and one that is connected to it.
struct Pair {
  std::unique_ptr<ft::Sockets> here = ft::make_zmq_sockets();
  std::unique_ptr<ft::Sockets> there = ft::make_zmq_sockets();
  std::unique_ptr<ft::Inbox> inbox;
  std::unique_ptr<ft::Outbox> outbox;

  Pair() {
    auto bound = there->bind({"tcp://127.0.0.1:*", ft::kChunkBytesMax, 4});
    REQUIRE(bound.ok());
    inbox = std::move(*bound);
    auto connected = here->connect({ft::OutboxKind::kBulk, 1, 2, inbox->endpoint()});
    REQUIRE(connected.ok());
    outbox = std::move(*connected);
    while (!outbox->is_connected()) {
      REQUIRE(wait_for_outbox() < kLongUs);
      outbox->take_changes();
    }
  }
  ft::TimeUs wait_for_outbox(ft::TimeUs timeout_us = kLongUs) {
    ft::Outbox* const boxes[] = {outbox.get()};
    const ft::TimeUs began = here->now();
    here->wait({}, boxes, -1, timeout_us);
    return here->now() - began;
  }
  ft::TimeUs wait_for_inbox(ft::TimeUs timeout_us = kLongUs) {
    ft::Inbox* const boxes[] = {inbox.get()};
    const ft::TimeUs began = there->now();
    there->wait(boxes, {}, -1, timeout_us);
    return there->now() - began;
  }
};

ft::Frame chunk() {
  ft::Frame frame;
  frame.head = std::string(ft::kBulkHeaderBytes, 'h');
  frame.body = ft::make_buffer(ft::kChunkBytesMax / 2);
  frame.body_bytes = ft::kChunkBytesMax / 2;
  return frame;
}

}  // namespace

TEST_CASE("sockets: an outbox that is full can send again as soon as the other end has read") {
  Pair pair;
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    int sent = 0;
    while (pair.wait_for_outbox(ft::kMillisecondUs), pair.outbox->send(chunk())) ++sent;
    ft::ArrivedMessage message;
    for (int read = 0; read < sent; ++read) {
      while (!pair.inbox->receive(&message)) REQUIRE(pair.wait_for_inbox() < kLongUs / 2);
      CHECK(message.is_well_formed);
    }
    while (!pair.outbox->send(chunk())) REQUIRE(pair.wait_for_outbox() < kLongUs / 2);
    while (!pair.inbox->receive(&message)) REQUIRE(pair.wait_for_inbox() < kLongUs / 2);
  }
}

TEST_CASE("sockets: what was left unread is there at the next wait, at once") {
  Pair pair;
  for (int i = 0; i < 3; ++i) REQUIRE(pair.outbox->send(chunk()));
  ft::ArrivedMessage message;
  for (int read = 0; read < 3; ++read) {
    while (!pair.inbox->receive(&message)) REQUIRE(pair.wait_for_inbox() < kLongUs / 2);
    if (read < 2) CHECK(pair.wait_for_inbox() < kLongUs / 2);
  }
  CHECK(!pair.inbox->receive(&message));
}

TEST_CASE("sockets: a wait with nothing to do lasts, and does not spin") {
  Pair pair;
  REQUIRE(pair.outbox->send(chunk()));
  ft::ArrivedMessage message;
  while (!pair.inbox->receive(&message)) REQUIRE(pair.wait_for_inbox() < kLongUs / 2);
  CHECK(!pair.inbox->receive(&message));
  CHECK(pair.wait_for_inbox(50 * ft::kMillisecondUs) >= 49 * ft::kMillisecondUs);
  CHECK(pair.wait_for_outbox(50 * ft::kMillisecondUs) >= 49 * ft::kMillisecondUs);
}
