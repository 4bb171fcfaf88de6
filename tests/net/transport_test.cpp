// Transports on real loopback sockets. No assertion is about time; waits are generous.

#include "net/transport.h"

#include <algorithm>
#include <ctime>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/control.h"
#include "tests/net/node.h"

namespace ft {
namespace {

// Two nodes in one term.
struct Pair {
  Node a{101};
  Node b{202};
  Pair() {
    a.connect(b);
    b.connect(a);
    a.transport().set_term(kRun, 1);
    b.transport().set_term(kRun, 1);
  }
  bool until(const std::function<bool()>& holds) { return run_until({&a, &b}, holds); }
  // Both sides' streams have begun: from here on nothing has to be sent twice.
  void settle() {
    a.transport().send(202, progress(0));
    b.transport().send(101, progress(0));
    REQUIRE(until([&] { return a.control.size() == 1 && b.control.size() == 1; }));
  }
};

// Follows a Pause as a stage does: connect, enter the term, answer.
void follow_pause(Node* stage) {
  stage->control_hook = [stage](PeerId from, const net::Control& message) {
    if (!message.has_pause()) return;
    Transport& transport = stage->transport();
    REQUIRE(transport
                .connect(from, message.pause().central_control_endpoint(),
                         message.pause().central_bulk_endpoint())
                .ok());
    RunId run{};
    std::copy(message.run().begin(), message.run().end(), run.begin());
    transport.set_term(run, message.term());
    net::Control answer;
    answer.mutable_inventory();
    transport.send(from, answer);
  };
}

// Takes in whoever says Hello.
void accept_hello(Node* central) {
  central->control_hook = [central](PeerId from, const net::Control& message) {
    if (!message.has_hello()) return;
    REQUIRE(central->transport()
                .connect(from, message.hello().control_endpoint(), message.hello().bulk_endpoint())
                .ok());
  };
}

void say_hello(Node* stage, const std::string& endpoint) {
  net::Hello hello;
  hello.set_name("stage");
  hello.set_control_endpoint(stage->transport().control_endpoint());
  hello.set_bulk_endpoint(stage->transport().bulk_endpoint());
  REQUIRE(stage->transport().send_hello(endpoint, hello).ok());
}

net::Control pause_of(Node* central) {
  net::Control message;
  message.mutable_pause()->set_central_control_endpoint(central->transport().control_endpoint());
  message.mutable_pause()->set_central_bulk_endpoint(central->transport().bulk_endpoint());
  return message;
}

}  // namespace

TEST_CASE("transport: a port in use is named, with the remedy") {
  Node first(1);
  TransportOptions options;
  options.self = 2;
  options.listen = first.transport().control_endpoint();
  const auto second = Transport::create(options, make_zmq_sockets());
  REQUIRE(!second.ok());
  CHECK(second.status().code() == StatusCode::kInvalid);
  CHECK(second.status().message().find(options.listen + ": cannot listen: the port is in use") ==
        0);
  CHECK(second.status().message().find("--listen") != std::string::npos);
  for (const char* bad : {"", "tcp://", "127.0.0.1:1", "ipc:///tmp/x", "tcp://127.0.0.1"}) {
    options.listen = bad;
    CHECK(Transport::create(options, make_zmq_sockets()).status().code() == StatusCode::kInvalid);
  }
  options.listen = "tcp://203.0.113.1:*";  // not an address of this machine
  CHECK(Transport::create(options, make_zmq_sockets()).status().code() == StatusCode::kInvalid);
}

TEST_CASE("transport: endpoints name the bound port, or the advertised host") {
  TransportOptions options;
  options.self = 1;
  options.advertise = "pi4-b.local";
  const auto transport = Transport::create(options, make_zmq_sockets());
  REQUIRE(transport.ok());
  CHECK((*transport)->control_endpoint().starts_with("tcp://pi4-b.local:"));
  CHECK((*transport)->bulk_endpoint().starts_with("tcp://pi4-b.local:"));
  CHECK((*transport)->control_endpoint() != (*transport)->bulk_endpoint());
  CHECK((*transport)->connect(2, "nonsense", "tcp://127.0.0.1:1").code() == StatusCode::kInvalid);
  CHECK((*transport)->connect(1, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2").code() ==
        StatusCode::kInvalid);
}

TEST_CASE("transport: poll hears the wake descriptor and keeps its deadline") {
  Node node(1);
  const int fd = eventfd(0, EFD_CLOEXEC);
  CHECK(!node.transport().poll(monotonic_now_us() + kMillisecondUs, fd, &node));
  const uint64_t one = 1;
  REQUIRE(write(fd, &one, sizeof(one)) == sizeof(one));
  CHECK(node.transport().poll(monotonic_now_us() + 60 * kSecondUs, fd, &node));
  close(fd);
}

TEST_CASE("transport: start-up from Hello to Inventory, and a second term") {
  Node central(1);
  Node stage(2);
  accept_hello(&central);
  follow_pause(&stage);
  say_hello(&stage, central.transport().control_endpoint());
  REQUIRE(run_until({&central, &stage}, [&] { return !central.control.empty(); }));
  for (uint64_t term = 1; term <= 3; ++term) {
    central.transport().set_term(kRun, term);
    central.transport().send(2, pause_of(&central));
    central.transport().send(2, progress(static_cast<int64_t>(term)));  // behind it in the stream
    const auto answered = [&] {
      return central.count(net::Control::kInventory) == static_cast<int>(term) &&
             stage.count(net::Control::kProgress) == static_cast<int>(term);
    };
    REQUIRE(run_until({&central, &stage}, answered));
    CHECK(stage.count(net::Control::kPause) == static_cast<int>(term));
    CHECK(stage.control.back().second.term() == term);
    CHECK(central.control.back().second.term() == term);
  }
  central.transport().flush(monotonic_now_us() + kSecondUs, &central);
  CHECK(central.transport().traffic().dropped_frames == 0);
}

TEST_CASE("transport: a Hello waits for a central that starts later") {
  std::string endpoint;
  {
    Node reserve(9);
    endpoint = reserve.transport().control_endpoint();
  }
  Node stage(2);
  say_hello(&stage, endpoint);
  run_for({&stage}, 100 * kMillisecondUs);
  Node central(1, endpoint);
  CHECK(run_until({&stage, &central}, [&] { return !central.control.empty(); }));
  CHECK(central.control[0].second.hello().name() == "stage");
}

TEST_CASE("transport: a Refuse reaches a stage of another run; a Pause of another run does not") {
  Node central(1);
  Node stage(2);
  central.transport().set_term(kRun, 1);
  stage.transport().set_term(RunId{1}, 9);
  central.connect(stage);
  net::Control refuse;
  refuse.mutable_refuse()->set_reason("it holds another run");
  central.transport().send(2, refuse);  // before the connection is up
  central.transport().send(2, pause_of(&central));
  REQUIRE(run_until({&central, &stage}, [&] {
    return !stage.control.empty() && stage.transport().traffic().dropped_frames > 0;
  }));
  CHECK(stage.control.size() == 1);
  CHECK(stage.control[0].second.refuse().reason() == "it holds another run");
}

TEST_CASE("transport: mixed transfers of 100 MB both ways while control goes on") {
  Pair pair;
  constexpr size_t kLarge = 24 << 20;
  constexpr int64_t kMessages = 200;
  std::vector<BufferPtr> sent;
  for (Node* node : {&pair.a, &pair.b}) {
    Node& other = node == &pair.a ? pair.b : pair.a;
    for (int32_t i = 0; i < 2; ++i) {
      sent.push_back(pattern(kLarge + static_cast<size_t>(i), node->self() + i));
      node->transport().send_bulk(other.self(), named(BulkKind::kSnapshot, i), sent.back(),
                                  Priority::kReplica);
    }
    for (int32_t i = 2; i < 12; ++i) {
      sent.push_back(pattern(static_cast<size_t>(i) * 100'001, node->self() + i));
      node->transport().send_bulk(other.self(), named(BulkKind::kGradient, i), sent.back(),
                                  Priority::kPipeline);
    }
    for (int64_t i = 0; i < kMessages; ++i) node->transport().send(other.self(), progress(i));
  }
  // Once all control messages are there, the large transfers are still under way.
  REQUIRE(pair.until([&] { return in_order(pair.a, kMessages) && in_order(pair.b, kMessages); }));
  CHECK(pair.a.transport().bulk_bytes_pending(202) > 0);
  CHECK(pair.b.transport().bulk_bytes_pending(101) > 0);
  REQUIRE(pair.until([&] { return pair.a.bulk.size() == 12 && pair.b.bulk.size() == 12; }));
  size_t index = 0;
  for (Node* node : {&pair.b, &pair.a}) {
    // The pipeline's transfers, sent last, arrive in order and before the second replica.
    std::vector<int32_t> items;
    for (const ArrivedBulk& bulk : node->bulk) items.push_back(bulk.header.name.item);
    CHECK(items.back() == 1);
    CHECK(std::is_sorted(items.begin(), items.end() - 2));
    for (int32_t item = 0; item < 12; ++item, ++index) {
      const auto found = std::ranges::find_if(
          node->bulk, [&](const ArrivedBulk& bulk) { return bulk.header.name.item == item; });
      REQUIRE(found != node->bulk.end());
      CHECK(std::ranges::equal(found->bytes->bytes(), sent[index]->bytes()));
    }
  }
  CHECK(pair.a.transport().traffic().dropped_frames == 0);
}

TEST_CASE("transport: traffic is counted exactly, by kind, with headers") {
  for (int attempt = 0; attempt < 5; ++attempt) {
    Pair pair;
    pair.settle();
    Transport& a = pair.a.transport();
    const TrafficCounts before = a.traffic();
    const auto send = [&](BulkKind kind, int64_t bytes) {
      a.send_bulk(202, named(kind, 1), make_buffer(static_cast<size_t>(bytes)),
                  Priority::kPipeline);
    };
    send(BulkKind::kActivation, 2 * kChunkBytesMax + 1);
    send(BulkKind::kEvaluation, 10);
    send(BulkKind::kGradient, 20);
    send(BulkKind::kLabels, 0);
    send(BulkKind::kEvaluationLabels, 5);
    send(BulkKind::kSnapshot, 30);
    send(BulkKind::kModel, 40);
    REQUIRE(pair.until([&] { return pair.b.bulk.size() == 7; }));
    REQUIRE(pair.until([&] { return a.bulk_bytes_pending(202) == 0; }));
    const TrafficCounts& after = a.traffic();
    // A machine that is asleep for a second resends: then once more.
    if (after.resent_frames > before.resent_frames) continue;
    CHECK(after.activations == 2 * kChunkBytesMax + 1 + 3 * 112 + 10 + 112);
    CHECK(after.gradients == 20 + 112);
    CHECK(after.labels == 112 + 5 + 112);
    CHECK(after.replicas == 30 + 112);
    CHECK(after.model == 40 + 112);
    const int64_t control = after.control;
    CHECK(control > 0);  // acknowledgements and the messages of settle()
    net::Control message;
    message.mutable_discard();
    stamp({kRun, 1, 101}, &message);
    a.send(202, message);
    CHECK(after.control == control + static_cast<int64_t>(message.ByteSizeLong()));
    return;
  }
  FAIL("five times something was resent");
}

TEST_CASE("transport: heartbeats alone tell the round trip") {
  Node a(1);
  Node b(2);
  for (Node* node : {&a, &b}) node->transport().set_term(kRun, 4);
  a.connect(b);
  b.connect(a);
  const auto round_trip_us = [](Node& node) {
    const std::vector<LinkSpeed> speeds = node.transport().link_speeds();
    return speeds.empty() ? 0 : speeds[0].round_trip_us;
  };
  REQUIRE(run_until({&a, &b}, [&] {
    a.transport().send(b.self(), heartbeat(1));
    b.transport().send(a.self(), heartbeat(1));
    return round_trip_us(a) > 0 && round_trip_us(b) > 0;
  }));
  CHECK(round_trip_us(a) < kSecondUs);
}

TEST_CASE("transport: three nodes, each to each, none mixed up") {
  Node a(1);
  Node b(2);
  Node c(3);
  const std::vector<Node*> nodes = {&a, &b, &c};
  for (Node* node : nodes) {
    node->transport().set_term(kRun, 4);
    for (Node* other : nodes) {
      if (other != node) node->connect(*other);
    }
  }
  constexpr int kTransfers = 8;
  for (Node* node : nodes) {
    for (Node* other : nodes) {
      if (other == node) continue;
      for (int32_t i = 0; i < kTransfers; ++i) {
        const auto size = static_cast<size_t>(i) * 90'000;
        node->transport().send_bulk(other->self(), named(BulkKind::kActivation, i),
                                    pattern(size, node->self() * 10 + other->self()),
                                    Priority::kPipeline);
        node->transport().send(other->self(), progress(i));
      }
    }
  }
  REQUIRE(run_until({&a, &b, &c}, [&] {
    return std::ranges::all_of(nodes, [](const Node* node) {
      return node->bulk.size() == 2 * kTransfers && node->control.size() == 2 * kTransfers;
    });
  }));
  for (Node* node : nodes) {
    for (const ArrivedBulk& bulk : node->bulk) {
      const BufferPtr expected = pattern(bulk.bytes->size(), bulk.from * 10 + node->self());
      CHECK(std::ranges::equal(bulk.bytes->bytes(), expected->bytes()));
    }
  }
}

TEST_CASE("transport: a newer term's frames wait until the receiver gets there") {
  Pair pair;
  pair.a.transport().set_term(kRun, 2);
  pair.a.transport().send(202, progress(0));
  pair.a.transport().send_bulk(202, named(BulkKind::kGradient, 1), make_buffer(100),
                               Priority::kPipeline);
  run_for({&pair.a, &pair.b}, 200 * kMillisecondUs);
  CHECK(pair.b.control.empty());
  CHECK(pair.b.bulk.empty());
  CHECK(pair.a.transport().bulk_bytes_pending(202) == 212);
  pair.b.transport().set_term(kRun, 2);
  CHECK(pair.until([&] { return pair.b.bulk.size() == 1 && pair.b.control.size() == 1; }));
  CHECK(pair.b.transport().traffic().dropped_frames == 0);
}

TEST_CASE("transport: an older term's frames are dropped and counted") {
  Pair pair;
  pair.settle();
  pair.b.transport().set_term(kRun, 2);
  pair.a.transport().send(202, progress(1));
  pair.a.transport().send(202, heartbeat(0));  // the handler judges an older term's
  REQUIRE(pair.until([&] { return pair.b.count(net::Control::kHeartbeat) == 1; }));
  CHECK(pair.b.transport().traffic().dropped_frames >= 1);
  CHECK(pair.b.count(net::Control::kProgress) == 1);
}

TEST_CASE("transport: a new term forgets transfers that are half way") {
  Pair pair;
  const auto half = [&](Node* node, Node* other, uint64_t term) {
    node->transport().set_term(kRun, term);
    other->transport().set_term(kRun, term);
  };
  pair.a.transport().send_bulk(202, named(BulkKind::kSnapshot, 1), make_buffer(64 << 20),
                               Priority::kReplica);
  int asked = 0;
  pair.b.expected_hook = [&](PeerId, const BulkHeader& header) {
    ++asked;
    return header.total_bytes;
  };
  REQUIRE(pair.until([&] { return asked == 1; }));
  half(&pair.a, &pair.b, 2);
  CHECK(pair.a.transport().bulk_bytes_pending(202) == 0);
  pair.a.transport().send_bulk(202, named(BulkKind::kSnapshot, 1), make_buffer(1000),
                               Priority::kReplica);
  REQUIRE(pair.until([&] { return !pair.b.bulk.empty(); }));
  CHECK(pair.b.bulk[0].bytes->size() == 1000);
  CHECK(pair.b.bulk.size() == 1);
}

TEST_CASE("transport: frames of a peer that is not connected yet wait for connect()") {
  Node a(1);
  Node b(2);
  for (Node* node : {&a, &b}) node->transport().set_term(kRun, 1);
  a.connect(b);
  a.transport().send(2, progress(0));
  run_for({&a, &b}, 100 * kMillisecondUs);
  CHECK(b.control.empty());
  b.connect(a);
  CHECK(run_until({&a, &b}, [&] { return b.control.size() == 1; }));
}

TEST_CASE("transport: a transfer that nobody expects is refused without stopping others") {
  Pair pair;
  pair.b.expected_hook = [](PeerId, const BulkHeader& header) {
    return header.name.item == 1 ? int64_t{-1} : header.total_bytes;
  };
  for (int32_t item = 0; item < 3; ++item) {
    pair.a.transport().send_bulk(202, named(BulkKind::kGradient, item), make_buffer(600'000),
                                 Priority::kPipeline);
  }
  REQUIRE(pair.until([&] { return pair.b.bulk.size() == 2; }));
  CHECK(pair.b.transport().traffic().dropped_frames == 3);  // its chunks
}

TEST_CASE("transport: after disconnect() nothing comes through until the next term") {
  Pair pair;
  pair.a.transport().send(202, progress(0));
  REQUIRE(pair.until([&] { return pair.b.control.size() == 1; }));
  pair.b.transport().disconnect(101);
  pair.a.transport().send(202, progress(1));
  REQUIRE(pair.until([&] { return pair.b.transport().traffic().dropped_frames > 0; }));
  pair.b.connect(pair.a);
  pair.b.transport().send(101, progress(5));   // dropped: its streams have begun once
  pair.b.transport().send(101, heartbeat(9));  // may be lost, too: not connected yet
  run_for({&pair.a, &pair.b}, 100 * kMillisecondUs);
  CHECK(pair.b.control.size() == 1);
  CHECK(pair.a.count(net::Control::kProgress) == 0);
  pair.b.transport().send(101, heartbeat(9));
  REQUIRE(pair.until([&] { return pair.a.count(net::Control::kHeartbeat) > 0; }));
  for (Node* node : {&pair.a, &pair.b}) node->transport().set_term(kRun, 2);
  pair.a.transport().send(202, progress(0));
  pair.b.transport().send(101, progress(0));
  CHECK(pair.until(
      [&] { return pair.b.control.size() == 2 && pair.a.count(net::Control::kProgress) == 1; }));
}

TEST_CASE("transport: throughput on loopback" * doctest::skip()) {  // --no-skip -tc=*throughput*
  Pair pair;
  pair.settle();
  constexpr int kTransfers = 512;
  constexpr size_t kBytes = 4 << 20;
  const BufferPtr bytes = make_buffer(kBytes);
  pair.b.bulk_hook = [&] { pair.b.bulk.back().bytes.reset(); };
  for (const bool both : {false, true}) {
    const TimeUs begin = monotonic_now_us();
    const std::clock_t cpu = std::clock();
    pair.a.bulk.clear();
    pair.b.bulk.clear();
    for (int32_t i = 0; i < kTransfers; ++i) {
      pair.a.transport().send_bulk(202, named(BulkKind::kGradient, i), bytes, Priority::kPipeline);
      if (!both) continue;
      pair.b.transport().send_bulk(101, named(BulkKind::kGradient, i), bytes, Priority::kPipeline);
    }
    REQUIRE(pair.until([&] {
      return pair.b.bulk.size() == kTransfers && pair.a.bulk.size() == (both ? kTransfers : 0);
    }));
    const double seconds = static_cast<double>(monotonic_now_us() - begin) / kSecondUs;
    const double gigabytes = (both ? 2.0 : 1.0) * kTransfers * kBytes / 1e9;
    MESSAGE(std::string(both ? "both ways " : "one way ")
            << gigabytes / seconds << " GB/s, "
            << static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / gigabytes
            << " s of CPU per GB, resent " << pair.a.transport().traffic().resent_frames);
  }
}

}  // namespace ft
