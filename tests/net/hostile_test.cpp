// Strangers at the inboxes: raw ZeroMQ and raw TCP. Whatever they send is dropped and counted, and
// the others' messages go on.

#include <arpa/inet.h>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.hpp>

#include "net/control.h"
#include "net/endpoint.h"
#include "tests/net/draw.h"
#include "tests/net/node.h"

namespace ft {
namespace {

std::string routing_id(char kind, PeerId from, PeerId to) {
  std::string id(17, '\0');
  id[0] = kind;
  std::memcpy(id.data() + 1, &from, 8);
  std::memcpy(id.data() + 9, &to, 8);
  return id;
}

// A stranger with a socket of its own; whole messages at a time.
class Stranger {
 public:
  Stranger(const std::string& endpoint, const std::string& id) {
    socket_.set(zmq::sockopt::linger, 0);
    if (!id.empty()) socket_.set(zmq::sockopt::routing_id, id);
    socket_.connect(endpoint);
  }
  void send(const std::vector<std::string>& parts) {
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto more = i + 1 < parts.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
      socket_.send(zmq::buffer(parts[i]), more);
    }
  }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_{context_, zmq::socket_type::dealer};
};

std::string noise(Draw* draw, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(draw->bits());
  return bytes;
}

bool drops(Node* node, int64_t count) {
  return run_until({node}, [&] { return node->transport().traffic().dropped_frames >= count; });
}

std::string encoded(const net::Control& body, PeerId sender, uint64_t term = 1) {
  net::Control message = body;
  stamp(Envelope{kRun, term, sender}, &message);
  return encode_control(message);
}

}  // namespace

TEST_CASE("hostile: noise in any number of parts is dropped, honest peers go on") {
  Node a(1);
  Node b(2);
  for (Node* node : {&a, &b}) node->transport().set_term(kRun, 1);
  a.connect(b);
  b.connect(a);
  Draw draw(5);
  Stranger plain(a.transport().control_endpoint(), "");
  Stranger forged(a.transport().control_endpoint(), routing_id('c', 77, 1));
  Stranger bulk(a.transport().bulk_endpoint(), routing_id('b', 77, 1));
  Stranger odd(a.transport().bulk_endpoint(), "x");
  constexpr int64_t kRounds = 100;
  for (int64_t i = 0; i < kRounds; ++i) {
    for (Stranger* stranger : {&plain, &forged, &bulk, &odd}) {
      std::vector<std::string> parts(1 + draw.below(4));
      for (std::string& part : parts) part = noise(&draw, draw.below(300));
      stranger->send(parts);
    }
    b.transport().send(1, progress(i));
  }
  const auto done = [&] {
    return a.count(net::Control::kProgress) == kRounds &&
           a.transport().traffic().dropped_frames >= 4 * kRounds;
  };
  CHECK(run_until({&a, &b}, done));
  CHECK(a.transport().traffic().dropped_frames == 4 * kRounds);
  CHECK(a.bulk.empty());
}

TEST_CASE("hostile: a sender cannot speak for another, nor to another") {
  Node node(1);
  node.transport().set_term(kRun, 1);
  const std::string endpoint = node.transport().control_endpoint();
  net::Control hello;
  hello.mutable_hello()->set_name("x");
  Stranger other(endpoint, routing_id('c', 77, 1));
  other.send({encoded(hello, 78)});  // says 78, is 77
  CHECK(drops(&node, 1));
  other.send({encoded(hello, 1)});  // says it is us
  CHECK(drops(&node, 2));
  Stranger astray(endpoint, routing_id('c', 77, 9));
  astray.send({encoded(hello, 77)});
  CHECK(drops(&node, 3));
  Stranger blind(endpoint, routing_id('c', 79, 0));
  blind.send({encoded(heartbeat(1), 79)});  // only a Hello may not know whom it talks to
  CHECK(drops(&node, 4));
  CHECK(node.control.empty());
  blind.send({encoded(hello, 79)});
  CHECK(run_until({&node}, [&] { return node.control.size() == 1; }));
}

TEST_CASE("hostile: oversized parts and raw bytes end the connection, not the node") {
  Node node(1);
  const std::string endpoint = node.transport().control_endpoint();
  Stranger large(endpoint, routing_id('c', 77, 1));
  large.send({std::string(kControlBytesMax + 1, 'x')});
  Stranger large_bulk(node.transport().bulk_endpoint(), routing_id('b', 77, 1));
  large_bulk.send({std::string(kBulkHeaderBytes, 'x'), std::string(kChunkBytesMax + 1, 'x')});

  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(port_of(endpoint))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  Draw draw(9);
  const std::string bytes = noise(&draw, 100'000);
  (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);

  net::Control hello;
  hello.mutable_hello()->set_name("x");
  Stranger honest(endpoint, routing_id('h', 80, 0));
  honest.send({encoded(hello, 80)});
  CHECK(run_until({&node}, [&] { return node.control.size() == 1; }));
  run_for({&node}, 100 * kMillisecondUs);
  CHECK(node.control.size() == 1);
  CHECK(node.bulk.empty());
  close(fd);
}

TEST_CASE("hostile: acknowledgements of what was never sent are dropped") {
  Node node(1);
  Node peer(77);
  node.transport().set_term(kRun, 1);
  node.connect(peer);
  net::Control ack;
  ack.mutable_ack()->set_next(5);
  Stranger stranger(node.transport().control_endpoint(), routing_id('c', 77, 1));
  stranger.send({encoded(ack, 77)});
  CHECK(drops(&node, 1));
}

TEST_CASE("hostile: chunks of a connected peer that contradict each other are refused") {
  Node node(1);
  Node peer(77);
  node.transport().set_term(kRun, 1);
  node.connect(peer);
  Stranger stranger(node.transport().bulk_endpoint(), routing_id('b', 77, 1));
  uint64_t sequence = 0;
  const auto send_chunk = [&](int64_t total, int64_t offset, int32_t count) {
    BulkHeader header{kRun, 1, 77, sequence++, {}, total, offset, count};
    std::string head(kBulkHeaderBytes, '\0');
    encode_bulk_header(header, std::span<std::byte, kBulkHeaderBytes>(
                                   reinterpret_cast<std::byte*>(head.data()), kBulkHeaderBytes));
    stranger.send({head, std::string(static_cast<size_t>(count), 'x')});
  };
  node.expected_hook = [](PeerId, const BulkHeader&) { return 100; };
  send_chunk(100, 10, 10);               // no beginning
  send_chunk(kTransferBytesMax, 0, 10);  // not what is expected: nothing is allocated
  send_chunk(100, 0, 50);
  send_chunk(100, 0, 50);   // begins twice
  send_chunk(200, 50, 50);  // another total
  send_chunk(100, 50, 50);  // at last
  CHECK(run_until({&node}, [&] { return node.bulk.size() == 1; }));
  CHECK(node.transport().traffic().dropped_frames == 4);
}

TEST_CASE("hostile: a Pause that is not followed is delivered once, and never acknowledged") {
  Node node(1);
  Node peer(77);
  node.transport().set_term(kRun, 1);
  node.connect(peer);
  net::Control pause;
  pause.mutable_pause();
  Stranger stranger(node.transport().control_endpoint(), routing_id('c', 77, 1));
  for (int i = 0; i < 5; ++i) stranger.send({encoded(pause, 77, 2)});
  net::Control hello;
  hello.mutable_hello();
  stranger.send({encoded(hello, 77)});
  CHECK(run_until({&node}, [&] { return node.count(net::Control::kHello) == 1; }));
  CHECK(node.count(net::Control::kPause) == 1);
}

TEST_CASE("hostile: a Hello of another protocol version is answered with a Refuse") {
  Node node(1);
  Node peer(77);  // hears the answer as its successor would
  net::Control hello;
  hello.mutable_hello()->set_control_endpoint(peer.transport().control_endpoint());
  stamp(Envelope{kRun, 1, 77}, &hello);
  hello.set_protocol(2);
  Stranger stranger(node.transport().control_endpoint(), routing_id('h', 77, 0));
  stranger.send({encode_control(hello)});
  REQUIRE(run_until({&node, &peer}, [&] { return !peer.control.empty(); }));
  CHECK(node.control.empty());
  const std::string reason = peer.control[0].second.refuse().reason();
  CHECK(reason == "it speaks protocol version 2, this is 1; update the older of the two");
}

}  // namespace ft
