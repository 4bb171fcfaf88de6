#include "tests/sim/sim_network.h"

#include <algorithm>

#include "net/endpoint.h"
#include "runtime/base/check.h"

namespace ft::sim {
namespace {

constexpr TimeUs kReconnectMinUs = 50 * kMillisecondUs;
constexpr TimeUs kReconnectMaxUs = 500 * kMillisecondUs;
constexpr TimeUs kConnectTimeoutUs = 2 * kSecondUs;
constexpr TimeUs kHandshakeUs = 5 * kSecondUs;
constexpr int kFirstPort = 20000;

}  // namespace

struct Arrived {
  Frame frame;
  std::shared_ptr<Connection> connection;
  int generation = 0;
};

struct InboxState {
  NetProcessPtr owner;
  std::string endpoint;
  std::deque<Arrived> arrived;
};

struct UnderWay {
  Frame frame;
  TimeUs leaves_at = 0;
  TimeUs arrives_at = 0;
};

// An outbox's connection, over all its lives.
struct Connection {
  NetProcessPtr owner;
  OutboxOptions options;
  int generation = 0;  // of the connection that is up, or tried for
  bool closed = false;
  bool up = false;
  bool connected = false;  // as the owner knows it
  bool blocked = false;    // the last send() did not get through
  bool lingers = false;    // what is queued leaves after closing, too
  TimeUs backoff = kReconnectMinUs;
  std::shared_ptr<InboxState> inbox;
  std::deque<UnderWay> wire;
  size_t unread = 0;
  TimeUs free_at = 0;  // when the link takes the next byte
  Outbox::Changes changes;
};

struct SimInbox : Inbox {
  std::shared_ptr<InboxState> state;
  SimNetwork* network = nullptr;
  Arrived current;

  ~SimInbox() override {
    state->owner->unread -= static_cast<int>(state->arrived.size());
    state->arrived.clear();
  }
  const std::string& endpoint() const override { return state->endpoint; }
  bool receive(ArrivedMessage* message) override;
};

struct SimOutbox : Outbox {
  std::shared_ptr<Connection> connection;
  SimNetwork* network = nullptr;

  ~SimOutbox() override {
    network->close(connection.get());
    network->forget_closed();
  }
  bool send(const Frame& frame) override { return network->send(connection, frame); }
  bool is_connected() const override { return connection->connected; }
  void set_linger(TimeUs duration) override { connection->lingers = duration > 0; }
  Changes take_changes() override {
    const Changes changes = connection->changes;
    connection->changes = Changes();
    if (changes.connected || changes.disconnected) connection->connected = connection->up;
    return changes;
  }
};

class SimSockets : public Sockets {
 public:
  SimSockets(SimNetwork* network, NetProcessPtr process)
      : network_(*network), process_(std::move(process)) {}
  void use_keys(const KeyPair&, Gate*) override {}
  Result<std::unique_ptr<Inbox>> bind(const InboxOptions& options) override;
  Result<std::unique_ptr<Outbox>> connect(const OutboxOptions& options) override;
  bool wait(std::span<Inbox* const>, std::span<Outbox* const>, int, TimeUs) override {
    return false;
  }
  TimeUs now() override { return network_.world_.now(); }

 private:
  SimNetwork& network_;
  NetProcessPtr process_;
};

bool SimInbox::receive(ArrivedMessage* message) {
  *message = ArrivedMessage();
  if (state->arrived.empty()) return false;
  current = std::move(state->arrived.front());
  state->arrived.pop_front();
  --state->owner->unread;
  Connection& connection = *current.connection;
  if (current.generation == connection.generation) --connection.unread;
  if (connection.blocked && !connection.closed) connection.owner->wake();
  message->is_well_formed = true;
  message->from = connection.options.self;
  message->to = connection.options.to;
  const std::span<const char> head(current.frame.head);
  message->parts[0] = std::as_bytes(head);
  message->parts[1] = current.frame.body_span();
  message->part_count = current.frame.body_bytes > 0 ? 2 : 1;
  return true;
}

// The lowest free port of the host: a process that is started again gets its predecessor's, so that
// what is still under way to that one reaches it.
Result<std::unique_ptr<Inbox>> SimSockets::bind(const InboxOptions& options) {
  const auto is_taken = [&](const std::string& endpoint) {
    const auto found = network_.inboxes_.find(endpoint);
    return found != network_.inboxes_.end() && found->second->owner->open;
  };
  std::string endpoint = options.endpoint;
  if (port_of(endpoint) == "*") {
    int port = kFirstPort;
    do {
      endpoint = make_endpoint(host_of(options.endpoint), std::to_string(port++));
    } while (is_taken(endpoint));
  }
  auto inbox = std::make_unique<SimInbox>();
  inbox->network = &network_;
  inbox->state = std::make_shared<InboxState>();
  inbox->state->owner = process_;
  inbox->state->endpoint = endpoint;
  network_.inboxes_[endpoint] = inbox->state;
  network_.break_dead(process_->host);
  return std::unique_ptr<Inbox>(std::move(inbox));
}

Result<std::unique_ptr<Outbox>> SimSockets::connect(const OutboxOptions& options) {
  if (!is_endpoint(options.endpoint, false)) {
    return invalid_error("%s: not an endpoint", options.endpoint.c_str());
  }
  auto outbox = std::make_unique<SimOutbox>();
  outbox->network = &network_;
  outbox->connection = std::make_shared<Connection>();
  outbox->connection->owner = process_;
  outbox->connection->options = options;
  network_.connections_.push_back(outbox->connection);
  const TimeUs now = network_.world_.now();
  network_.attempt(outbox->connection, now + kHandshakeUs);
  return std::unique_ptr<Outbox>(std::move(outbox));
}

// ---- Processes ----

std::unique_ptr<Sockets> SimNetwork::open(const NetProcessPtr& process) {
  return std::make_unique<SimSockets>(this, process);
}

void SimNetwork::close(const NetProcessPtr& process) {
  process->open = false;
  for (const ConnectionPtr& connection : connections_) {
    if (connection->owner != process) continue;
    close(connection.get());
    if (process->silent) ++connection->generation;  // what was under way is gone as well
  }
  // What it had bound answers with a reset, if there is still somebody to answer.
  if (!process->silent) break_dead(process->host);
  forget_closed();
}

// What had left already arrives.
void SimNetwork::close(Connection* connection) const {
  if (connection->closed) return;
  connection->closed = true;
  while (!connection->lingers && !connection->wire.empty() &&
         connection->wire.back().leaves_at > world_.now()) {
    connection->wire.pop_back();
  }
}

void SimNetwork::woken(const NetProcessPtr& process) {
  for (const ConnectionPtr& connection : connections_) {
    if (connection->up && connection->inbox->owner == process) {
      deliver(connection, connection->generation);
    }
  }
}

void SimNetwork::forget_closed() {
  std::erase_if(connections_, [](const ConnectionPtr& connection) { return connection->closed; });
}

// Connections to processes of this host that are no more: their peers learn it as soon as the link
// lets them.
void SimNetwork::break_dead(int host) {
  for (const ConnectionPtr& connection : connections_) {
    if (!connection->up || connection->inbox->owner->open) continue;
    if (connection->inbox->owner->host != host) continue;
    if (is_blocked(host, connection->owner->host)) continue;
    const int generation = connection->generation;
    world_.after(link(host, connection->owner->host).latency, [this, connection, generation] {
      if (connection->generation == generation && connection->up) break_off(connection);
    });
  }
}

// ---- Connecting ----

const std::string& SimNetwork::resolve(const std::string& endpoint) const {
  const auto found = aliases_.find(endpoint);
  return found == aliases_.end() ? endpoint : found->second;
}

void SimNetwork::set_alias(const std::string& alias, const std::string& endpoint) {
  std::string& target = aliases_[alias];
  if (target == endpoint) return;
  target = endpoint;
  const std::vector<ConnectionPtr> all = connections_;
  for (const ConnectionPtr& connection : all) {
    if (connection->up && connection->options.endpoint == alias) break_off(connection);
  }
}

void SimNetwork::attempt(const ConnectionPtr& connection, TimeUs give_up_at) {
  if (connection->closed || connection->up) return;
  const int generation = connection->generation;
  const int own = connection->owner->host;
  const auto found = inboxes_.find(resolve(connection->options.endpoint));
  if (found == inboxes_.end()) return refuse(connection, link(own, own).latency);
  const InboxPtr inbox = found->second;
  const int host = inbox->owner->host;
  if (is_blocked(own, host) || (!inbox->owner->open && inbox->owner->silent)) {
    return refuse(connection, kConnectTimeoutUs);
  }
  const TimeUs trip = link(own, host).latency + link(host, own).latency;
  if (!inbox->owner->open) return refuse(connection, trip);
  // The kernel takes the connection; the handshake needs the process.
  if (inbox->owner->paused || connection->owner->paused) {
    if (world_.now() >= give_up_at) return refuse(connection, 0);
    world_.after(kReconnectMinUs, [this, connection, give_up_at, generation] {
      if (connection->generation == generation) attempt(connection, give_up_at);
    });
    return;
  }
  world_.after(2 * trip, [this, connection, inbox, generation, own, host] {
    if (connection->closed || connection->generation != generation) return;
    if (!inbox->owner->open || is_blocked(own, host)) return refuse(connection, 0);
    establish(connection, inbox);
  });
}

// The attempt fails after `delay`; the next one follows.
void SimNetwork::refuse(const ConnectionPtr& connection, TimeUs delay) {
  const int generation = connection->generation;
  world_.after(delay, [this, connection, generation] {
    if (connection->closed || connection->generation != generation) return;
    connection->changes.disconnected = true;
    connection->owner->wake();
    const TimeUs wait = connection->backoff + world_.network_dice.below(kReconnectMinUs);
    connection->backoff = std::min(2 * connection->backoff, kReconnectMaxUs);
    world_.after(wait, [this, connection, generation] {
      if (connection->generation != generation) return;
      attempt(connection, world_.now() + kHandshakeUs);
    });
  });
}

void SimNetwork::establish(const ConnectionPtr& connection, const InboxPtr& inbox) {
  connection->up = true;
  connection->inbox = inbox;
  connection->unread = 0;
  connection->free_at = 0;
  connection->backoff = kReconnectMinUs;
  connection->changes.connected = true;
  connection->owner->wake();
}

// What is under way is lost, what has arrived is not.
void SimNetwork::break_off(const ConnectionPtr& connection) {
  if (connection->closed) return;
  ++connection->generation;
  connection->up = false;
  connection->wire.clear();
  connection->inbox = nullptr;
  connection->blocked = false;
  refuse(connection, 0);
}

// ---- Frames ----

bool SimNetwork::send(const ConnectionPtr& connection, const Frame& frame) {
  if (!connection->connected || !connection->up) return false;
  const TimeUs now = world_.now();
  std::deque<UnderWay>& wire = connection->wire;
  const bool queue_full =
      wire.size() >= kOutboxFramesMax && wire[wire.size() - kOutboxFramesMax].leaves_at > now;
  if (queue_full || wire.size() + connection->unread >= kPathFramesMax) {
    connection->blocked = true;
    if (queue_full) {
      world_.at(wire[wire.size() - kOutboxFramesMax].leaves_at, [connection] {
        if (connection->blocked) connection->owner->wake();
      });
    }
    return false;
  }
  connection->blocked = false;
  const Link& over = link(connection->owner->host, connection->inbox->owner->host);
  const TimeUs takes = frame.bytes() * kSecondUs / over.bytes_per_s;
  const TimeUs leaves_at = std::max(now, connection->free_at) + takes;
  connection->free_at = leaves_at;
  const TimeUs jitter = world_.network_dice.below(over.latency / 2 + 1);
  TimeUs arrives_at = leaves_at + over.latency + jitter;
  if (!wire.empty()) arrives_at = std::max(arrives_at, wire.back().arrives_at);
  wire.push_back({frame, leaves_at, arrives_at});
  const int generation = connection->generation;
  world_.at(arrives_at, [this, connection, generation] { deliver(connection, generation); });
  return true;
}

// Whatever is due. A closed outbox's frames still arrive when they had left before.
void SimNetwork::deliver(const ConnectionPtr& connection, int generation) {
  if (connection->generation != generation || connection->inbox == nullptr) return;
  const NetProcess& target = *connection->inbox->owner;
  if (!target.open || link(connection->owner->host, target.host).blocked) return;
  std::deque<UnderWay>& wire = connection->wire;
  while (!wire.empty() && wire.front().arrives_at <= world_.now()) {
    Frame frame = std::move(wire.front().frame);
    wire.pop_front();
    const int percent = link(connection->owner->host, target.host).duplicate_percent;
    if (percent > 0 && world_.network_dice.chance(percent)) {
      // Once more: right behind the first, or long after.
      const bool late = world_.network_dice.chance(30);
      const TimeUs delay = late ? world_.network_dice.below(2 * kSecondUs) : 0;
      world_.after(delay, [this, connection, frame, inbox = connection->inbox] {
        if (connection->inbox == inbox && inbox->owner->open) arrive(connection, frame);
      });
    }
    arrive(connection, std::move(frame));
  }
}

void SimNetwork::arrive(const ConnectionPtr& connection, Frame frame) {
  InboxState& inbox = *connection->inbox;
  if (tamper) tamper(*inbox.owner, &frame);
  inbox.arrived.push_back({std::move(frame), connection, connection->generation});
  ++connection->unread;
  ++inbox.owner->unread;
  inbox.owner->wake();
}

// ---- Faults ----

void SimNetwork::block(int from, int to) {
  Link& over = link(from, to);
  over.blocked = true;
  const int blocks = ++over.blocks;
  const TimeUs patience = world_.network_dice.between(6, 30) * kSecondUs;
  world_.after(patience, [this, from, to, blocks] {
    if (link(from, to).blocked && link(from, to).blocks == blocks) cut(from, to);
  });
}

// TCP sends again what was not acknowledged, after a while.
void SimNetwork::heal(int from, int to) {
  Link& over = link(from, to);
  if (!over.blocked) return;
  over.blocked = false;
  for (const ConnectionPtr& connection : connections_) {
    if (!connection->up || connection->owner->host != from) continue;
    if (connection->inbox->owner->host != to) continue;
    const int generation = connection->generation;
    world_.after(world_.network_dice.below(400 * kMillisecondUs),
                 [this, connection, generation] { deliver(connection, generation); });
  }
  break_dead(from);
  break_dead(to);
}

void SimNetwork::heal_all() {
  for (auto& [hosts, over] : links_) {
    heal(hosts.first, hosts.second);
    over.latency = default_.latency;
    over.bytes_per_s = default_.bytes_per_s;
    over.duplicate_percent = 0;
  }
}

void SimNetwork::cut(int a, int b) {
  const std::vector<ConnectionPtr> all = connections_;
  for (const ConnectionPtr& connection : all) {
    if (!connection->up) continue;
    const int from = connection->owner->host;
    const int to = connection->inbox->owner->host;
    if ((from == a && to == b) || (from == b && to == a)) break_off(connection);
  }
}

}  // namespace ft::sim
