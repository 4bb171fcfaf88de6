#include "net/zmq_sockets.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <map>
#include <poll.h>
#include <sys/socket.h>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "net/bulk.h"
#include "net/endpoint.h"
#include "net/stream.h"
#include "runtime/base/check.h"
#include "runtime/base/digest.h"
#include "runtime/base/log.h"

namespace ft {
namespace {

constexpr int kReconnectMinMs = 50;
constexpr int kReconnectMaxMs = 500;
constexpr int kConnectTimeoutMs = 2000;
constexpr int kHandshakeMs = 5000;
constexpr int kKeepaliveS = 30;
// A smaller body is copied: cheaper than the bookkeeping of one that is shared.
constexpr int32_t kCopiedBytesMax = 4096;
// An outbox that was refused for its key, or for having none or one at all, knocks again: it may be
// allowed by then. libzmq itself gives up.
constexpr TimeUs kReopenMinUs = 20 * kMillisecondUs;
constexpr TimeUs kReopenMaxUs = 500 * kMillisecondUs;
// Encryption adds 33 bytes to a part.
constexpr int64_t kCurveBytes = 64;
constexpr size_t kRoutingIdBytes = 17;  // kind, sender, receiver
constexpr int kOutboxEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                              ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
constexpr int kInboxEvents =
    ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;

std::string make_routing_id(const OutboxOptions& options) {
  std::string id(kRoutingIdBytes, '\0');
  id[0] = static_cast<char>(options.kind);
  for (size_t i = 0; i < 8; ++i) {
    id[1 + i] = static_cast<char>(options.self >> (8 * i));
    id[9 + i] = static_cast<char>(options.to >> (8 * i));
  }
  return id;
}

// Returns false for an id that is not one of ours (ZeroMQ makes up 5 bytes for who sets none).
bool parse_routing_id(const zmq::message_t& id, ArrivedMessage* message) {
  if (id.size() != kRoutingIdBytes) return false;
  const auto* bytes = id.data<unsigned char>();
  if (std::strchr("cbhr", bytes[0]) == nullptr || bytes[0] == 0) return false;
  for (size_t i = 0; i < 8; ++i) {
    message->from |= static_cast<uint64_t>(bytes[1 + i]) << (8 * i);
    message->to |= static_cast<uint64_t>(bytes[9 + i]) << (8 * i);
  }
  return message->from != 0;
}

// A socket, and whether it is worth asking. Its descriptor is readable while ZeroMQ's threads have
// told it something that it has not looked at; a call that finds nothing has looked at everything.
// So who found nothing waits for the descriptor. Asking all sockets after every wait, as zmq_poll()
// does, takes two system calls for each, and a node has a dozen.
struct WatchedSocket {
  zmq::socket_t socket;
  bool ready = true;

  void open(zmq::socket_t opened) {
    socket = std::move(opened);
    ready = true;
  }
  bool is_open() const { return socket.handle() != nullptr; }
  bool receive(zmq::message_t* part);
};

// Returns false when nothing is there. zmq.hpp's own recv() throws when a signal interrupts it.
bool WatchedSocket::receive(zmq::message_t* part) {
  if (!ready) return false;
  while (zmq_msg_recv(part->handle(), socket.handle(), ZMQ_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    FT_CHECK(errno == EAGAIN);
    ready = false;
    return false;
  }
  return true;
}

// Waits until one of the sockets or `wake_fd` (or -1) may have something, or the time is over.
class Watch {
 public:
  explicit Watch(int wake_fd) { items_.push_back({wake_fd, POLLIN, 0}); }

  void add(WatchedSocket* watched) {
    const int fd = watched->socket.get(zmq::sockopt::fd);
    items_.push_back({fd, POLLIN, 0});
    sockets_.push_back(watched);
    any_ready_ = any_ready_ || watched->ready;
  }

  // Returns whether wake_fd is readable.
  bool wait(int timeout_ms) {
    const int count = ::poll(items_.data(), items_.size(), any_ready_ ? 0 : timeout_ms);
    FT_CHECK(count >= 0 || errno == EINTR);
    if (count <= 0) return false;
    for (size_t i = 0; i < sockets_.size(); ++i) {
      if (items_[i + 1].revents != 0) sockets_[i]->ready = true;
    }
    return items_[0].revents != 0;
  }

 private:
  std::vector<pollfd> items_;  // wake_fd's, then the sockets'
  std::vector<WatchedSocket*> sockets_;
  bool any_ready_ = false;
};

struct MonitorEvent {
  uint16_t number = 0;
  uint32_t value = 0;
};

bool receive_event(WatchedSocket* monitor, MonitorEvent* event) {
  zmq::message_t head;
  zmq::message_t address;
  if (!monitor->receive(&head) || !head.more() || !monitor->receive(&address)) return false;
  FT_CHECK(head.size() >= sizeof(event->number) + sizeof(event->value));
  std::memcpy(&event->number, head.data(), sizeof(event->number));
  std::memcpy(&event->value, head.data<char>() + sizeof(event->number), sizeof(event->value));
  return true;
}

// Of the other end; empty when the connection is gone already.
std::string address_of(uint32_t socket_fd) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof(address);
  const auto fd = static_cast<int>(socket_fd);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) return "";
  char text[INET6_ADDRSTRLEN] = {};
  const void* host =
      address.ss_family == AF_INET6
          ? static_cast<const void*>(&reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr)
          : static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(&address)->sin_addr);
  return ::inet_ntop(address.ss_family, host, text, sizeof(text)) != nullptr ? text : "";
}

bool send_part(zmq::socket_t* socket, zmq::message_t* part, int flags) {
  while (zmq_msg_send(part->handle(), socket->handle(), flags | ZMQ_DONTWAIT) < 0) {
    if (errno != EINTR) return false;  // EAGAIN; EFAULT: the connection broke between two parts
  }
  return true;
}

void release_body(void*, void* hint) { delete static_cast<ConstBufferPtr*>(hint); }

// ZeroMQ's I/O thread drops the reference once the bytes are written.
zmq::message_t make_body(const Frame& frame) {
  const std::span<const std::byte> bytes = frame.body_span();
  if (frame.body_bytes <= kCopiedBytesMax) return zmq::message_t(bytes.data(), bytes.size());
  return zmq::message_t(const_cast<std::byte*>(bytes.data()), bytes.size(), release_body,
                        new ConstBufferPtr(frame.body));
}

std::string to_option(const std::array<uint8_t, 32>& key) {
  return std::string(key.begin(), key.end());
}

Status bind_error(const std::string& endpoint, int code) {
  if (code == EADDRINUSE) {
    return invalid_error(
        "%s: cannot listen: the port is in use; choose another with --listen, or tcp://%s:* for "
        "any free one",
        endpoint.c_str(), host_of(endpoint).c_str());
  }
  return invalid_error(
      "%s: cannot listen: %s; --listen takes tcp://HOST:PORT with an address of "
      "this machine",
      endpoint.c_str(), zmq_strerror(code));
}

struct ZmqInbox : Inbox {
  WatchedSocket box;
  WatchedSocket monitor;                      // with keys only
  std::map<uint32_t, std::string> addresses;  // of open connections, by file descriptor
  std::string failed;                         // why the next that closes was refused
  std::string bound;
  zmq::message_t parts[2];

  const std::string& endpoint() const override { return bound; }
  bool receive(ArrivedMessage* message) override;
  void tell_refused(Gate* gate);
  ~ZmqInbox() override {
    if (monitor.is_open()) zmq_socket_monitor(box.socket.handle(), nullptr, 0);
  }
};

bool ZmqInbox::receive(ArrivedMessage* message) {
  *message = ArrivedMessage();
  zmq::message_t id;
  if (!box.receive(&id)) return false;
  bool more = id.more();
  zmq::message_t excess;
  while (more) {  // a message arrives whole: its next part is there
    const size_t index = message->part_count++;
    zmq::message_t* part = index < 2 ? &parts[index] : &excess;
    if (!box.receive(part)) break;
    if (index < 2) {
      message->parts[index] = {static_cast<const std::byte*>(part->data()), part->size()};
    }
    more = part->more();
  }
  const char* user = message->part_count > 0 ? zmq_msg_gets(parts[0].handle(), "User-Id") : nullptr;
  if (user != nullptr && !from_hex(user, message->key)) message->key = PublicKey{};
  message->is_well_formed =
      parse_routing_id(id, message) && message->part_count >= 1 && message->part_count <= 2;
  return true;
}

// Connections that end before a key was proven; the others are answer_zap()'s.
void ZmqInbox::tell_refused(Gate* gate) {
  MonitorEvent event;
  while (receive_event(&monitor, &event)) {
    if (event.number == ZMQ_EVENT_ACCEPTED) {
      addresses[event.value] = address_of(event.value);
    } else if (event.number == ZMQ_EVENT_DISCONNECTED) {
      const std::string address = addresses[event.value];
      addresses.erase(event.value);
      if (!failed.empty()) gate->on_refused(address, std::exchange(failed, ""));
    } else if (event.value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) {
      failed = "it does not use keys";
    } else if (event.value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC) {
      failed = "it expects another key than this device has";
    } else {
      failed = "it does not speak this protocol";
    }
  }
}

struct ZmqOutbox : Outbox {
  OutboxOptions options;
  WatchedSocket box;
  WatchedSocket monitor;
  TimeUs reopen_at = kNever;
  TimeUs reopen_wait = kReopenMinUs;
  bool connected = false;
  bool blocked = false;  // connected, but the last send() did not get through

  ~ZmqOutbox() override { stop_monitor(); }
  // Its events go nowhere from here on.
  void stop_monitor() {
    if (box.is_open()) zmq_socket_monitor(box.socket.handle(), nullptr, 0);
  }
  bool is_connected() const override { return connected; }
  void set_linger(TimeUs duration) override {
    box.socket.set(zmq::sockopt::linger, static_cast<int>(duration / kMillisecondUs));
  }
  bool send(const Frame& frame) override;
  void look();
  Changes take_changes() override;
};

bool ZmqOutbox::send(const Frame& frame) {
  if (!connected) return false;
  const bool has_body = frame.body_bytes > 0;
  zmq::message_t head(frame.head.data(), frame.head.size());
  bool sent = send_part(&box.socket, &head, has_body ? ZMQ_SNDMORE : 0);
  if (sent && has_body) {
    zmq::message_t body = make_body(frame);
    sent = send_part(&box.socket, &body, 0);
  }
  blocked = !sent;
  if (blocked) box.ready = false;
  return sent;
}

// What a blocked send waits for. A send itself does not always look (libzmq: once a millisecond).
void ZmqOutbox::look() {
  if (blocked && box.ready) blocked = (box.socket.get(zmq::sockopt::events) & ZMQ_POLLOUT) == 0;
  box.ready = false;
}

Refusal refusal_of(const MonitorEvent& event) {
  switch (event.number) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return Refusal::kKey;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      return Refusal::kMechanism;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return event.value == ETIMEDOUT ? Refusal::kNone : Refusal::kClosed;
    default:
      return Refusal::kNone;
  }
}

Outbox::Changes ZmqOutbox::take_changes() {
  Changes changes;
  MonitorEvent event;
  while (receive_event(&monitor, &event)) {
    connected = event.number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    blocked = false;
    (connected ? changes.connected : changes.disconnected) = true;
    const Refusal refusal = refusal_of(event);
    if (refusal != Refusal::kNone) changes.refusal = refusal;
    if (connected) reopen_wait = kReopenMinUs;
    if (refusal != Refusal::kKey && refusal != Refusal::kMechanism) continue;
    reopen_at = monotonic_now_us() + reopen_wait;
    reopen_wait = std::min(2 * reopen_wait, kReopenMaxUs);
  }
  return changes;
}

class ZmqSockets : public Sockets {
 public:
  void use_keys(const KeyPair& own, Gate* gate) override;
  Result<std::unique_ptr<Inbox>> bind(const InboxOptions& options) override;
  Result<std::unique_ptr<Outbox>> connect(const OutboxOptions& options) override;
  bool wait(std::span<Inbox* const> inboxes, std::span<Outbox* const> outboxes, int wake_fd,
            TimeUs timeout_us) override;
  TimeUs now() override { return monotonic_now_us(); }

 private:
  zmq::socket_t monitor(zmq::socket_t* socket, int events);
  void open(ZmqOutbox* outbox);
  void reopen(ZmqOutbox* outbox);
  void answer_zap();

  zmq::context_t context_{1};
  uint64_t monitors_ = 0;  // names them
  KeyPair own_;
  Gate* gate_ = nullptr;  // null: without keys
  WatchedSocket zap_;
};

// The handler is there before the first bind: without one ZeroMQ lets everybody in.
void ZmqSockets::use_keys(const KeyPair& own, Gate* gate) {
  own_ = own;
  gate_ = gate;
  zmq::socket_t zap(context_, zmq::socket_type::rep);
  zap.set(zmq::sockopt::linger, 0);
  zap.bind("inproc://zeromq.zap.01");
  zap_.open(std::move(zap));
}

// ZeroMQ asks (ZAP, RFC 27) about every connection to an inbox whose other end has proven a key.
// The key becomes the connection's User-Id, which each of its messages carries.
void ZmqSockets::answer_zap() {
  zmq::message_t part;
  while (zap_.receive(&part)) {
    std::vector<std::string> request{part.to_string()};
    while (part.more() && zap_.receive(&part)) request.push_back(part.to_string());
    // version, request id, domain, address, routing id, mechanism, key
    PublicKey key{};
    const bool complete = request.size() == 7 && request[0] == "1.0" && request[5] == "CURVE" &&
                          request[6].size() == key.size();
    if (complete) std::copy(request[6].begin(), request[6].end(), key.begin());
    const bool admitted = complete && gate_->admits(key, request[3]);
    const std::string answer[] = {
        "1.0", request.size() > 1 ? request[1] : "", admitted ? "200" : "400",
        "",    admitted ? to_hex(key) : "",          ""};
    for (const std::string& text : answer) {
      zmq::message_t reply(text.data(), text.size());
      if (!send_part(&zap_.socket, &reply, &text == std::end(answer) - 1 ? 0 : ZMQ_SNDMORE)) break;
    }
  }
}

zmq::socket_t ZmqSockets::monitor(zmq::socket_t* socket, int events) {
  const std::string address =
      format("inproc://monitor-%llu", static_cast<unsigned long long>(monitors_++));
  if (zmq_socket_monitor(socket->handle(), address.c_str(), events) != 0) throw zmq::error_t();
  zmq::socket_t end(context_, zmq::socket_type::pair);
  end.set(zmq::sockopt::linger, 0);
  end.set(zmq::sockopt::rcvhwm, 0);  // ZeroMQ's I/O thread must never wait for us
  end.connect(address);
  return end;
}

Result<std::unique_ptr<Inbox>> ZmqSockets::bind(const InboxOptions& options) {
  if (!is_endpoint(options.endpoint, true)) {
    return invalid_error(
        "%s: not an endpoint; write tcp://HOST:PORT, or tcp://HOST:* for a free "
        "port",
        options.endpoint.c_str());
  }
  try {
    auto inbox = std::make_unique<ZmqInbox>();
    inbox->box.open(zmq::socket_t(context_, zmq::socket_type::router));
    zmq::socket_t& socket = inbox->box.socket;
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::maxmsgsize, options.part_bytes_max + (gate_ ? kCurveBytes : 0));
    socket.set(zmq::sockopt::rcvhwm, options.frames_max);
    socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
    // A peer that connects anew is heard at once, though its old connection may look alive. What
    // that one still holds comes under a made-up id: dropped here, resent there.
    socket.set(zmq::sockopt::router_handover, true);
    // The connections of machines that went away without a word are closed some day.
    socket.set(zmq::sockopt::tcp_keepalive, 1);
    socket.set(zmq::sockopt::tcp_keepalive_idle, kKeepaliveS);
    socket.set(zmq::sockopt::tcp_keepalive_intvl, kKeepaliveS);
    if (gate_ != nullptr) {
      socket.set(zmq::sockopt::curve_server, true);
      socket.set(zmq::sockopt::curve_secretkey, to_option(own_.secret_key));
      socket.set(zmq::sockopt::zap_domain, "ftrun");
      inbox->monitor.open(monitor(&socket, kInboxEvents));
    }
    socket.bind(options.endpoint);
    inbox->bound = socket.get(zmq::sockopt::last_endpoint);
    return std::unique_ptr<Inbox>(std::move(inbox));
  } catch (const zmq::error_t& error) {
    return bind_error(options.endpoint, error.num());
  }
}

Result<std::unique_ptr<Outbox>> ZmqSockets::connect(const OutboxOptions& options) {
  if (!is_endpoint(options.endpoint, false)) {
    return invalid_error("%s: not an endpoint; write tcp://HOST:PORT", options.endpoint.c_str());
  }
  try {
    auto outbox = std::make_unique<ZmqOutbox>();
    outbox->options = options;
    open(outbox.get());
    return std::unique_ptr<Outbox>(std::move(outbox));
  } catch (const zmq::error_t& error) {
    return invalid_error("%s: cannot connect: %s", options.endpoint.c_str(), error.what());
  }
}

void ZmqSockets::open(ZmqOutbox* outbox) {
  zmq::socket_t socket(context_, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::immediate, true);
  socket.set(zmq::sockopt::sndhwm, kOutboxFramesMax);
  socket.set(zmq::sockopt::rcvhwm, 1);  // nothing comes back
  socket.set(zmq::sockopt::maxmsgsize, int64_t{256});
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectMinMs);
  socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
  socket.set(zmq::sockopt::connect_timeout, kConnectTimeoutMs);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket.set(zmq::sockopt::routing_id, make_routing_id(outbox->options));
  if (gate_ != nullptr) {
    socket.set(zmq::sockopt::curve_serverkey, to_option(outbox->options.server));
    socket.set(zmq::sockopt::curve_publickey, to_option(own_.public_key));
    socket.set(zmq::sockopt::curve_secretkey, to_option(own_.secret_key));
  }
  zmq::socket_t events = monitor(&socket, kOutboxEvents);
  socket.connect(outbox->options.endpoint);
  outbox->stop_monitor();
  outbox->box.open(std::move(socket));
  outbox->monitor.open(std::move(events));
}

void ZmqSockets::reopen(ZmqOutbox* outbox) {
  outbox->reopen_at = kNever;
  try {
    open(outbox);
  } catch (const zmq::error_t& error) {
    outbox->reopen_at = monotonic_now_us() + kReopenMaxUs;
    log_warning("%s: cannot connect: %s", outbox->options.endpoint.c_str(), error.what());
  }
}

bool ZmqSockets::wait(std::span<Inbox* const> inboxes, std::span<Outbox* const> outboxes,
                      int wake_fd, TimeUs timeout_us) {
  Watch watch(wake_fd);
  for (Inbox* each : inboxes) {
    auto* inbox = static_cast<ZmqInbox*>(each);
    watch.add(&inbox->box);
    if (gate_ != nullptr) watch.add(&inbox->monitor);
  }
  if (gate_ != nullptr) watch.add(&zap_);
  for (Outbox* each : outboxes) {
    auto* outbox = static_cast<ZmqOutbox*>(each);
    if (monotonic_now_us() >= outbox->reopen_at) reopen(outbox);
    watch.add(&outbox->monitor);
    if (outbox->blocked) watch.add(&outbox->box);
  }
  const TimeUs timeout_ms = (std::max<TimeUs>(timeout_us, 0) + 999) / 1000;
  const bool woken = watch.wait(static_cast<int>(std::min<TimeUs>(timeout_ms, 60'000)));
  for (Outbox* each : outboxes) static_cast<ZmqOutbox*>(each)->look();
  if (gate_ != nullptr) {
    for (Inbox* each : inboxes) static_cast<ZmqInbox*>(each)->tell_refused(gate_);
    answer_zap();
  }
  return woken;
}

}  // namespace

std::unique_ptr<Sockets> make_zmq_sockets() { return std::make_unique<ZmqSockets>(); }

}  // namespace ft
