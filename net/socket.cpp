#include "net/socket.h"

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

}  // namespace

// ---- Context ----

struct SocketContext::Impl {
  zmq::context_t context{1};
  uint64_t monitors = 0;  // names them
};

SocketContext::SocketContext() : impl_(std::make_unique<Impl>()) {}
SocketContext::~SocketContext() = default;

// ---- Inbox ----

struct Inbox::Impl {
  zmq::socket_t socket;
  std::string endpoint;
  zmq::message_t parts[2];
};

Inbox::Inbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Inbox::~Inbox() = default;

Result<std::unique_ptr<Inbox>> Inbox::bind(SocketContext* context, const InboxOptions& options) {
  if (!is_endpoint(options.endpoint, true)) {
    return invalid_error(
        "%s: not an endpoint; write tcp://HOST:PORT, or tcp://HOST:* for a free "
        "port",
        options.endpoint.c_str());
  }
  try {
    auto impl = std::make_unique<Impl>();
    impl->socket = zmq::socket_t(context->impl_->context, zmq::socket_type::router);
    zmq::socket_t& socket = impl->socket;
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
    impl->endpoint = socket.get(zmq::sockopt::last_endpoint);
    return std::unique_ptr<Inbox>(new Inbox(std::move(impl)));
  } catch (const zmq::error_t& error) {
    return bind_error(options.endpoint, error.num());
  }
}

const std::string& Inbox::endpoint() const { return impl_->endpoint; }

bool Inbox::receive(ArrivedMessage* message) {
  *message = ArrivedMessage();
  zmq::message_t id;
  if (!receive_part(&impl_->socket, &id)) return false;
  bool more = id.more();
  zmq::message_t excess;
  while (more) {  // a message arrives whole: its next part is there
    const size_t index = message->part_count++;
    zmq::message_t* part = index < 2 ? &impl_->parts[index] : &excess;
    if (!receive_part(&impl_->socket, part)) break;
    if (index < 2) {
      message->parts[index] = {static_cast<const std::byte*>(part->data()), part->size()};
    }
    more = part->more();
  }
  message->is_well_formed =
      parse_routing_id(id, message) && message->part_count >= 1 && message->part_count <= 2;
  return true;
}

// ---- Outbox ----

struct Outbox::Impl {
  zmq::socket_t socket;
  zmq::socket_t monitor;
  bool connected = false;
  bool blocked = false;  // connected, but the last send() did not get through

  ~Impl() {
    if (socket.handle() == nullptr) return;
    // Its events go nowhere from here on.
    zmq_socket_monitor(socket.handle(), nullptr, 0);
  }
};

Outbox::Outbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Outbox::~Outbox() = default;

Result<std::unique_ptr<Outbox>> Outbox::connect(SocketContext* context,
                                                const OutboxOptions& options) {
  if (!is_endpoint(options.endpoint, false)) {
    return invalid_error("%s: not an endpoint; write tcp://HOST:PORT", options.endpoint.c_str());
  }
  try {
    auto impl = std::make_unique<Impl>();
    zmq::context_t& zmq_context = context->impl_->context;
    impl->socket = zmq::socket_t(zmq_context, zmq::socket_type::dealer);
    zmq::socket_t& socket = impl->socket;
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

    const std::string address = format("inproc://monitor-%llu",
                                       static_cast<unsigned long long>(context->impl_->monitors++));
    if (zmq_socket_monitor(socket.handle(), address.c_str(), kMonitorEvents) != 0) {
      throw zmq::error_t();
    }
    impl->monitor = zmq::socket_t(zmq_context, zmq::socket_type::pair);
    impl->monitor.set(zmq::sockopt::linger, 0);
    impl->monitor.set(zmq::sockopt::rcvhwm, 0);  // ZeroMQ's I/O thread must never wait for us
    impl->monitor.connect(address);
    socket.connect(options.endpoint);
    return std::unique_ptr<Outbox>(new Outbox(std::move(impl)));
  } catch (const zmq::error_t& error) {
    return invalid_error("%s: cannot connect: %s", options.endpoint.c_str(), error.what());
  }
}

bool Outbox::is_connected() const { return impl_->connected; }

void Outbox::set_linger(TimeUs duration) {
  impl_->socket.set(zmq::sockopt::linger, static_cast<int>(duration / kMillisecondUs));
}

bool Outbox::send(const Frame& frame) {
  if (!impl_->connected) return false;
  const bool has_body = frame.body_bytes > 0;
  zmq::message_t head(frame.head.data(), frame.head.size());
  bool sent = send_part(&impl_->socket, &head, has_body ? ZMQ_SNDMORE : 0);
  if (sent && has_body) {
    zmq::message_t body = make_body(frame);
    sent = send_part(&impl_->socket, &body, 0);
  }
  impl_->blocked = !sent;
  return sent;
}

Outbox::Changes Outbox::take_changes() {
  Changes changes;
  zmq::message_t event;
  zmq::message_t address;
  while (receive_part(&impl_->monitor, &event)) {
    if (!event.more() || !receive_part(&impl_->monitor, &address)) break;
    uint16_t number = 0;
    FT_CHECK(event.size() >= sizeof(number));
    std::memcpy(&number, event.data(), sizeof(number));
    impl_->connected = number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    impl_->blocked = false;
    (impl_->connected ? changes.connected : changes.disconnected) = true;
  }
  return changes;
}

// ---- Waiting ----

bool wait_for(std::span<Inbox* const> inboxes, std::span<Outbox* const> outboxes, int wake_fd,
              TimeUs timeout_us) {
  std::vector<zmq_pollitem_t> items;
  for (const Inbox* inbox : inboxes) {
    items.push_back({inbox->impl_->socket.handle(), 0, ZMQ_POLLIN, 0});
  }
  for (const Outbox* outbox : outboxes) {
    items.push_back({outbox->impl_->monitor.handle(), 0, ZMQ_POLLIN, 0});
    if (outbox->impl_->blocked) {
      items.push_back({outbox->impl_->socket.handle(), 0, ZMQ_POLLOUT, 0});
    }
  }
  if (wake_fd >= 0) items.push_back({nullptr, wake_fd, ZMQ_POLLIN, 0});
  const TimeUs timeout_ms = (std::max<TimeUs>(timeout_us, 0) + 999) / 1000;
  const int count = zmq_poll(items.data(), static_cast<int>(items.size()),
                             static_cast<long>(std::min<TimeUs>(timeout_ms, 60'000)));
  FT_CHECK(count >= 0 || errno == EINTR);
  return count > 0 && wake_fd >= 0 && (items.back().revents & ZMQ_POLLIN) != 0;
}

}  // namespace ft
