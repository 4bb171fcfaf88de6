// Connections that break, and nodes that go away. No assertion is about time; waits are generous.

#include <algorithm>

#include "net/endpoint.h"
#include "net/transport.h"
#include "tests/net/node.h"
#include "tests/net/tcp_proxy.h"

namespace ft {

TEST_CASE("transport: a peer that vanishes is reported; its successor on the port is another") {
  Node a(1);
  a.transport().set_term(kRun, 1);
  auto b = std::make_unique<Node>(2);
  b->transport().set_term(kRun, 1);
  a.connect(*b);
  b->connect(a);
  a.transport().send(2, progress(0));
  REQUIRE(run_until({&a, b.get()}, [&] { return b->control.size() == 1; }));
  const std::string endpoint = b->transport().control_endpoint();
  b.reset();
  REQUIRE(run_until({&a}, [&] { return !a.disconnected.empty(); }));
  CHECK(a.disconnected == std::vector<PeerId>{2});
  a.transport().send(2, progress(1));  // waits for somebody who will not come back

  Node successor(3, endpoint);
  successor.transport().set_term(kRun, 1);
  a.connect(successor);
  successor.connect(a);
  a.transport().send(3, progress(7));
  // What is meant for 2 arrives at the same port and is recognised as not 3's.
  REQUIRE(run_until({&a, &successor}, [&] {
    return !successor.control.empty() && successor.transport().traffic().dropped_frames > 0;
  }));
  CHECK(successor.control.size() == 1);
  CHECK(successor.control[0].second.progress().version() == 7);
  a.transport().disconnect(2);
  successor.transport().send(1, progress(8));
  REQUIRE(run_until({&a, &successor}, [&] { return a.control.size() == 1; }));
  CHECK(a.control[0].first == 3);
}

TEST_CASE("transport: connections that are cut again and again lose and repeat nothing") {
  Node a(101);
  Node b(202);
  for (Node* node : {&a, &b}) node->transport().set_term(kRun, 1);
  const auto port = [](const std::string& endpoint) {
    return static_cast<uint16_t>(std::stoi(port_of(endpoint)));
  };
  TcpProxy control(port(b.transport().control_endpoint()));
  TcpProxy bulk(port(b.transport().bulk_endpoint()));
  TcpProxy back(port(a.transport().control_endpoint()));  // acknowledgements travel here
  const auto through = [](const TcpProxy& proxy) {
    return make_endpoint("127.0.0.1", std::to_string(proxy.port()));
  };
  REQUIRE(a.transport().connect(202, through(control), through(bulk)).ok());
  REQUIRE(b.transport().connect(101, through(back), a.transport().bulk_endpoint()).ok());

  constexpr int32_t kRounds = 6;
  constexpr int64_t kMessages = 50;
  std::vector<BufferPtr> sent;
  for (int32_t round = 0; round < kRounds; ++round) {
    for (int64_t i = 0; i < kMessages; ++i) {
      a.transport().send(202, progress(round * kMessages + i));
    }
    sent.push_back(pattern(5'000'000, static_cast<uint64_t>(round)));
    a.transport().send_bulk(202, named(BulkKind::kGradient, round), sent.back(),
                            Priority::kPipeline);
    // Cut in the middle of it.
    const auto some = [&] { return !b.bulk.empty() || control.connections() > round; };
    REQUIRE(run_until({&a, &b}, some));
    run_for({&a, &b}, static_cast<TimeUs>(3 * round) * kMillisecondUs);
    for (TcpProxy* proxy : {&control, &bulk, &back}) proxy->cut();
  }
  REQUIRE(run_until({&a, &b},
                    [&] { return in_order(b, kRounds * kMessages) && b.bulk.size() == kRounds; }));
  REQUIRE(run_until({&a, &b}, [&] { return a.transport().bulk_bytes_pending(202) == 0; }));
  for (size_t i = 0; i < sent.size(); ++i) {
    CHECK(b.bulk[i].header.name.item == static_cast<int32_t>(i));
    CHECK(std::ranges::equal(b.bulk[i].bytes->bytes(), sent[i]->bytes()));
  }
  CHECK(control.connections() > 1);
  CHECK(!a.disconnected.empty());
}

TEST_CASE("transport: the newest heartbeat leaves at once on a new connection") {
  Node a(1);
  Node b(2);
  TcpProxy proxy(static_cast<uint16_t>(std::stoi(port_of(b.transport().control_endpoint()))));
  const std::string through = make_endpoint("127.0.0.1", std::to_string(proxy.port()));
  REQUIRE(a.transport().connect(2, through, b.transport().bulk_endpoint()).ok());
  run_until({&a, &b}, [&] { return proxy.connections() > 0; });
  run_for({&a, &b}, 50 * kMillisecondUs);
  a.transport().send(2, heartbeat(7));
  REQUIRE(run_until({&a, &b}, [&] { return b.count(net::Control::kHeartbeat) == 1; }));
  proxy.cut();
  REQUIRE(run_until({&a, &b}, [&] { return b.count(net::Control::kHeartbeat) == 2; }));
  CHECK(b.control.back().second.heartbeat().version() == 7);
}

TEST_CASE("transport: flush waits for acknowledgements; the last one outlives its sender") {
  Node a(1);
  a.transport().set_term(kRun, 1);
  {
    Node b(2);
    b.transport().set_term(kRun, 1);
    a.connect(b);
    b.connect(a);
    b.transport().send(1, progress(0));  // what b says last needs b's own connection
    REQUIRE(run_until({&a, &b}, [&] { return a.count(net::Control::kProgress) == 1; }));
    a.transport().send_bulk(2, named(BulkKind::kLabels, 0), make_buffer(10), Priority::kPipeline);
    REQUIRE(run_until({&a, &b}, [&] { return !b.bulk.empty(); }));
    CHECK(a.transport().bulk_bytes_pending(2) > 0);  // a has not looked since
  }
  a.transport().flush(monotonic_now_us() + 60 * kSecondUs, &a);
  CHECK(a.transport().bulk_bytes_pending(2) == 0);
}

TEST_CASE("transport: flush does not wait for the dead") {
  Node a(1);
  a.transport().set_term(kRun, 1);
  {
    Node b(2);
    b.transport().set_term(kRun, 1);
    a.connect(b);  // b, not connected back, acknowledges nothing
    a.transport().send(2, progress(0));
    run_for({&a, &b}, 50 * kMillisecondUs);
  }
  const TimeUs begin = monotonic_now_us();
  a.transport().flush(begin + 600 * kSecondUs, &a);
  CHECK(monotonic_now_us() - begin < 600 * kSecondUs);
  CHECK(a.disconnected == std::vector<PeerId>{2});
}

}  // namespace ft
