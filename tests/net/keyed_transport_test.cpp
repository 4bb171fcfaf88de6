// Transports with keys, on real loopback sockets: who is let in, who is not, and what a let-in
// device may not say.

#include <cstring>
#include <optional>

#include "net/control.h"
#include "tests/base/temp_dir.h"
#include "tests/net/node.h"

namespace ft {
namespace {

// Central 1 ("central") with its allow list; stages bear its key.
class Cluster {
 public:
  Cluster() { central = make(1, central_keys()); }

  TransportKeys central_keys() const {
    TransportKeys keys{central_pair, central_pair.public_key, {}};
    keys.devices = *AllowList::read(dir.file("allowed_keys"));
    return keys;
  }
  TransportKeys stage_keys(const KeyPair& own) const {
    return TransportKeys{own, central_pair.public_key, {}};
  }
  void allow(const std::string& name, const KeyPair& pair) {
    AllowList list = *AllowList::read(dir.file("allowed_keys"));
    REQUIRE(list.add(name, pair.public_key).ok());
  }
  static std::unique_ptr<Node> make(PeerId self, std::optional<TransportKeys> keys) {
    return std::make_unique<Node>(self, "tcp://127.0.0.1:*", std::move(keys));
  }
  void say_hello(Node* stage, const std::string& name) const {
    net::Hello hello;
    hello.set_name(name);
    hello.set_control_endpoint(stage->transport().control_endpoint());
    hello.set_bulk_endpoint(stage->transport().bulk_endpoint());
    REQUIRE(stage->transport().send_hello(central->transport().control_endpoint(), hello).ok());
  }
  // Says Hello until `holds`.
  bool knock(Node* stage, const std::string& name, const std::function<bool()>& holds) const {
    TimeUs next = 0;
    return run_until({central.get(), stage}, [&] {
      if (monotonic_now_us() >= next) {
        say_hello(stage, name);
        next = monotonic_now_us() + 100 * kMillisecondUs;
      }
      return holds();
    });
  }

  TempDir dir;
  KeyPair central_pair = make_key_pair();
  std::unique_ptr<Node> central;
};

std::string bytes_of(const PublicKey& key) { return std::string(key.begin(), key.end()); }

void connect(Node* from, Node* to, const PublicKey& key) {
  REQUIRE(from->transport()
              .connect(to->self(), to->transport().control_endpoint(),
                       to->transport().bulk_endpoint(), bytes_of(key))
              .ok());
}

bool was_told(const Node& node, const std::string& needs) {
  for (const RefusedPeer& peer : node.strangers) {
    if (text_of(peer).find(needs) != std::string::npos) return true;
  }
  return false;
}

net::Control pause_of(const Node& node) {
  net::Control message;
  (void)node;
  message.mutable_pause();
  return message;
}

}  // namespace

TEST_CASE("keyed transport: an allowed device is heard, with the key it has proven") {
  Cluster c;
  const KeyPair pair = make_key_pair();
  c.allow("board", pair);
  const auto board = Cluster::make(2, c.stage_keys(pair));
  REQUIRE(c.knock(board.get(), "board", [&] { return !c.central->control.empty(); }));
  const auto& [from, message] = c.central->control.front();
  CHECK(from == 2);
  CHECK(message.hello().public_key() == bytes_of(pair.public_key));
  CHECK(c.central->strangers.empty());
}

TEST_CASE("keyed transport: what a Hello claims to have proven counts for nothing") {
  Node plain(1);
  Node other(2);
  net::Hello hello;
  hello.set_name("board");
  hello.set_public_key(std::string(32, 'x'));
  hello.set_control_endpoint(other.transport().control_endpoint());
  hello.set_bulk_endpoint(other.transport().bulk_endpoint());
  REQUIRE(other.transport().send_hello(plain.transport().control_endpoint(), hello).ok());
  REQUIRE(run_until({&plain, &other}, [&] { return !plain.control.empty(); }));
  CHECK(plain.control.front().second.hello().public_key().empty());
}

TEST_CASE("keyed transport: a stranger is refused and named, and let in once it is allowed") {
  Cluster c;
  const KeyPair pair = make_key_pair();
  const auto board = Cluster::make(2, c.stage_keys(pair));
  REQUIRE(c.knock(board.get(), "board", [&] { return !c.central->strangers.empty(); }));
  CHECK(was_told(*c.central, fingerprint(pair.public_key)));
  CHECK(was_told(*c.central, "127.0.0.1"));
  run_for({c.central.get(), board.get()}, 300 * kMillisecondUs);
  CHECK(c.central->control.empty());
  c.allow("board", pair);
  CHECK(c.knock(board.get(), "board", [&] { return !c.central->control.empty(); }));
}

TEST_CASE("keyed transport: who has no keys, or another central's, gets nothing across") {
  Cluster c;
  const auto plain = Cluster::make(2, std::nullopt);
  REQUIRE(c.knock(plain.get(), "board", [&] { return was_told(*c.central, "not use keys"); }));
  const KeyPair pair = make_key_pair();
  c.allow("board", pair);
  TransportKeys misled = c.stage_keys(pair);
  misled.central = make_key_pair().public_key;
  const auto board = Cluster::make(3, misled);
  REQUIRE(c.knock(board.get(), "board", [&] { return was_told(*c.central, "another key"); }));
  CHECK(c.central->control.empty());
}

TEST_CASE("keyed transport: a central without keys does not get a Hello that is meant for one") {
  Node plain(1);
  const KeyPair pair = make_key_pair();
  Cluster c;
  const auto board = Cluster::make(2, c.stage_keys(pair));
  net::Hello hello;
  hello.set_name("board");
  REQUIRE(board->transport().send_hello(plain.transport().control_endpoint(), hello).ok());
  run_for({&plain, board.get()}, 500 * kMillisecondUs);
  CHECK(plain.control.empty());
}

TEST_CASE("keyed transport: a wrong name in the Hello is dropped, counted and told to both") {
  Cluster c;
  const KeyPair pair = make_key_pair();
  c.allow("board", pair);
  const auto board = Cluster::make(2, c.stage_keys(pair));
  REQUIRE(c.knock(board.get(), "laptop", [&] { return board->count(net::Control::kRefuse) > 0; }));
  CHECK(c.central->control.empty());
  CHECK(c.central->transport().traffic().dropped_frames > 0);
  CHECK(was_told(*c.central, "calls itself laptop"));
  CHECK(was_told(*c.central, fingerprint(pair.public_key)));
  CHECK(board->control.front().second.refuse().reason().find("--name board") != std::string::npos);
}

TEST_CASE("keyed transport: a device cannot speak as another") {
  Cluster c;
  const KeyPair first = make_key_pair();
  const KeyPair second = make_key_pair();
  c.allow("first", first);
  c.allow("second", second);
  const auto honest = Cluster::make(2, c.stage_keys(first));
  // The second has the first's incarnation.
  const auto liar = Cluster::make(2, c.stage_keys(second));
  connect(c.central.get(), honest.get(), first.public_key);
  connect(liar.get(), c.central.get(), c.central_pair.public_key);
  for (Node* node : {c.central.get(), honest.get(), liar.get()}) {
    node->transport().set_term(kRun, 1);
  }
  liar->transport().send(1, progress(666));
  liar->transport().send_bulk(1, {BulkKind::kGradient, 0, 0, 0}, pattern(1000, 1),
                              Priority::kPipeline);
  REQUIRE(run_until({c.central.get(), liar.get()},
                    [&] { return was_told(*c.central, "name another device"); }));
  run_for({c.central.get(), liar.get()}, 200 * kMillisecondUs);
  CHECK(c.central->control.empty());
  CHECK(c.central->bulk.empty());
  CHECK(c.central->transport().traffic().dropped_frames >= 2);
  connect(honest.get(), c.central.get(), c.central_pair.public_key);
  honest->transport().send(1, progress(5));
  REQUIRE(run_until({c.central.get(), honest.get()}, [&] { return !c.central->control.empty(); }));
  CHECK(c.central->control.front().second.progress().version() == 5);
}

TEST_CASE("keyed transport: a member cannot lead the others") {
  Cluster c;
  const KeyPair first = make_key_pair();
  const KeyPair second = make_key_pair();
  const auto a = Cluster::make(2, c.stage_keys(first));
  const auto b = Cluster::make(3, c.stage_keys(second));
  connect(a.get(), b.get(), second.public_key);
  connect(b.get(), a.get(), first.public_key);
  a->transport().set_term(kRun, 1);
  b->transport().set_term(kRun, 2);
  b->transport().send(2, pause_of(*b));
  b->transport().send(2, heartbeat(1));
  REQUIRE(run_until({a.get(), b.get()}, [&] { return a->count(net::Control::kHeartbeat) > 0; }));
  run_for({a.get(), b.get()}, 300 * kMillisecondUs);
  CHECK(a->count(net::Control::kPause) == 0);
  CHECK(a->transport().traffic().dropped_frames > 0);
}

TEST_CASE("keyed transport: members exchange whole chunks, once central has named them") {
  Cluster c;
  const KeyPair first = make_key_pair();
  const KeyPair second = make_key_pair();
  const auto a = Cluster::make(2, c.stage_keys(first));
  const auto b = Cluster::make(3, c.stage_keys(second));
  a->transport().set_term(kRun, 1);
  b->transport().set_term(kRun, 1);
  CHECK(!a->transport()
             .connect(3, b->transport().control_endpoint(),
                      b->transport().bulk_endpoint())
             .ok());  // whose key?
  connect(a.get(), b.get(), second.public_key);
  const BufferPtr bytes = pattern(3 * kChunkBytesMax + 1, 7);
  a->transport().send_bulk(3, {BulkKind::kActivation, 0, 0, 0}, bytes, Priority::kPipeline);
  run_for({a.get(), b.get()}, 200 * kMillisecondUs);
  CHECK(b->bulk.empty());  // it does not know a yet
  connect(b.get(), a.get(), first.public_key);
  REQUIRE(run_until({a.get(), b.get()}, [&] { return !b->bulk.empty(); }));
  CHECK(std::memcmp(b->bulk[0].bytes->data(), bytes->data(), bytes->size()) == 0);
  CHECK(b->strangers.empty());
}

}  // namespace ft
