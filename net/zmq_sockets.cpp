#include "net/zmq_sockets.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>
#include <zmq.hpp>

#include "net/bulk.h"
#include "net/endpoint.h"
#include "runtime/base/check.h"

namespace ft {
namespace {

constexpr int kReconnectMinMs = 50;
constexpr int kReconnectMaxMs = 500;
constexpr int kConnectTimeoutMs = 2000;
constexpr int kHandshakeMs = 5000;
constexpr int kKeepaliveS = 30;
// A smaller body is copied: cheaper than the bookkeeping of one that is shared.
constexpr int32_t kCopiedBytesMax = 4096;
constexpr size_t kRoutingIdBytes = 17;  // kind, sender, receiver
constexpr int kMonitorEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                               ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

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

// Returns false when nothing is there. zmq.hpp's own recv() throws when a signal interrupts it.
bool receive_part(zmq::socket_t* socket, zmq::message_t* part) {
  while (zmq_msg_recv(part->handle(), socket->handle(), ZMQ_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    FT_CHECK(errno == EAGAIN);
    return false;
  }
  return true;
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
  zmq::socket_t socket;
  std::string bound;
  zmq::message_t parts[2];

  const std::string& endpoint() const override { return bound; }
  bool receive(ArrivedMessage* message) override;
};

bool ZmqInbox::receive(ArrivedMessage* message) {
  *message = ArrivedMessage();
  zmq::message_t id;
  if (!receive_part(&socket, &id)) return false;
  bool more = id.more();
  zmq::message_t excess;
  while (more) {  // a message arrives whole: its next part is there
    const size_t index = message->part_count++;
    zmq::message_t* part = index < 2 ? &parts[index] : &excess;
    if (!receive_part(&socket, part)) break;
    if (index < 2) {
      message->parts[index] = {static_cast<const std::byte*>(part->data()), part->size()};
    }
    more = part->more();
  }
  message->is_well_formed =
      parse_routing_id(id, message) && message->part_count >= 1 && message->part_count <= 2;
  return true;
}

struct ZmqOutbox : Outbox {
  zmq::socket_t socket;
  zmq::socket_t monitor;
  bool connected = false;
  bool blocked = false;  // connected, but the last send() did not get through

  ~ZmqOutbox() override {
    if (socket.handle() == nullptr) return;
    // Its events go nowhere from here on.
    zmq_socket_monitor(socket.handle(), nullptr, 0);
  }
  bool is_connected() const override { return connected; }
  void set_linger(TimeUs duration) override {
    socket.set(zmq::sockopt::linger, static_cast<int>(duration / kMillisecondUs));
  }
  bool send(const Frame& frame) override;
  Changes take_changes() override;
};

bool ZmqOutbox::send(const Frame& frame) {
  if (!connected) return false;
  const bool has_body = frame.body_bytes > 0;
  zmq::message_t head(frame.head.data(), frame.head.size());
  bool sent = send_part(&socket, &head, has_body ? ZMQ_SNDMORE : 0);
  if (sent && has_body) {
    zmq::message_t body = make_body(frame);
    sent = send_part(&socket, &body, 0);
  }
  blocked = !sent;
  return sent;
}

Outbox::Changes ZmqOutbox::take_changes() {
  Changes changes;
  zmq::message_t event;
  zmq::message_t address;
  while (receive_part(&monitor, &event)) {
    if (!event.more() || !receive_part(&monitor, &address)) break;
    uint16_t number = 0;
    FT_CHECK(event.size() >= sizeof(number));
    std::memcpy(&number, event.data(), sizeof(number));
    connected = number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    blocked = false;
    (connected ? changes.connected : changes.disconnected) = true;
  }
  return changes;
}

class ZmqSockets : public Sockets {
 public:
  Result<std::unique_ptr<Inbox>> bind(const InboxOptions& options) override;
  Result<std::unique_ptr<Outbox>> connect(const OutboxOptions& options) override;
  bool wait(std::span<Inbox* const> inboxes, std::span<Outbox* const> outboxes, int wake_fd,
            TimeUs timeout_us) override;
  TimeUs now() override { return monotonic_now_us(); }

 private:
  zmq::context_t context_{1};
  uint64_t monitors_ = 0;  // names them
};

Result<std::unique_ptr<Inbox>> ZmqSockets::bind(const InboxOptions& options) {
  if (!is_endpoint(options.endpoint, true)) {
    return invalid_error(
        "%s: not an endpoint; write tcp://HOST:PORT, or tcp://HOST:* for a free "
        "port",
        options.endpoint.c_str());
  }
  try {
    auto inbox = std::make_unique<ZmqInbox>();
    inbox->socket = zmq::socket_t(context_, zmq::socket_type::router);
    zmq::socket_t& socket = inbox->socket;
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::maxmsgsize, options.part_bytes_max);
    socket.set(zmq::sockopt::rcvhwm, options.frames_max);
    socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
    // A peer that connects anew is heard at once, though its old connection may look alive. What
    // that one still holds comes under a made-up id: dropped here, resent there.
    socket.set(zmq::sockopt::router_handover, true);
    // The connections of machines that went away without a word are closed some day.
    socket.set(zmq::sockopt::tcp_keepalive, 1);
    socket.set(zmq::sockopt::tcp_keepalive_idle, kKeepaliveS);
    socket.set(zmq::sockopt::tcp_keepalive_intvl, kKeepaliveS);
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
    outbox->socket = zmq::socket_t(context_, zmq::socket_type::dealer);
    zmq::socket_t& socket = outbox->socket;
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::immediate, true);
    socket.set(zmq::sockopt::sndhwm, kOutboxFramesMax);
    socket.set(zmq::sockopt::rcvhwm, 1);  // nothing comes back
    socket.set(zmq::sockopt::maxmsgsize, int64_t{256});
    socket.set(zmq::sockopt::reconnect_ivl, kReconnectMinMs);
    socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
    socket.set(zmq::sockopt::connect_timeout, kConnectTimeoutMs);
    socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
    socket.set(zmq::sockopt::routing_id, make_routing_id(options));

    const std::string address =
        format("inproc://monitor-%llu", static_cast<unsigned long long>(monitors_++));
    if (zmq_socket_monitor(socket.handle(), address.c_str(), kMonitorEvents) != 0) {
      throw zmq::error_t();
    }
    outbox->monitor = zmq::socket_t(context_, zmq::socket_type::pair);
    outbox->monitor.set(zmq::sockopt::linger, 0);
    outbox->monitor.set(zmq::sockopt::rcvhwm, 0);  // ZeroMQ's I/O thread must never wait for us
    outbox->monitor.connect(address);
    socket.connect(options.endpoint);
    return std::unique_ptr<Outbox>(std::move(outbox));
  } catch (const zmq::error_t& error) {
    return invalid_error("%s: cannot connect: %s", options.endpoint.c_str(), error.what());
  }
}

bool ZmqSockets::wait(std::span<Inbox* const> inboxes, std::span<Outbox* const> outboxes,
                      int wake_fd, TimeUs timeout_us) {
  std::vector<zmq_pollitem_t> items;
  for (Inbox* box : inboxes) {
    auto* inbox = static_cast<ZmqInbox*>(box);
    items.push_back({inbox->socket.handle(), 0, ZMQ_POLLIN, 0});
  }
  for (Outbox* box : outboxes) {
    auto* outbox = static_cast<ZmqOutbox*>(box);
    items.push_back({outbox->monitor.handle(), 0, ZMQ_POLLIN, 0});
    if (outbox->blocked) {
      items.push_back({outbox->socket.handle(), 0, ZMQ_POLLOUT, 0});
    }
  }
  if (wake_fd >= 0) items.push_back({nullptr, wake_fd, ZMQ_POLLIN, 0});
  const TimeUs timeout_ms = (std::max<TimeUs>(timeout_us, 0) + 999) / 1000;
  const int count = zmq_poll(items.data(), static_cast<int>(items.size()),
                             static_cast<long>(std::min<TimeUs>(timeout_ms, 60'000)));
  FT_CHECK(count >= 0 || errno == EINTR);
  return count > 0 && wake_fd >= 0 && (items.back().revents & ZMQ_POLLIN) != 0;
}

}  // namespace

std::unique_ptr<Sockets> make_zmq_sockets() { return std::make_unique<ZmqSockets>(); }

}  // namespace ft
