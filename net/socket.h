#pragma once

// Sockets: ZeroMQ as far as the transport needs it. zmq.hpp is included by socket.cpp only; its
// types and exceptions stop there. One thread owns a context and its sockets.
//
// An inbox (ROUTER) only receives. An outbox (DEALER) only sends, keeps trying to connect, and
// drops what it holds when the connection breaks. Its routing id says who sends and to whom: a
// message for a process that used this port before us is recognised as not ours.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "net/frame.h"
#include "net/peer_id.h"
#include "runtime/base/clock.h"
#include "runtime/base/status.h"

namespace ft {

// Messages inside ZeroMQ on their way to one peer, per outbox. Few, so that an urgent one does not
// queue behind many.
constexpr int kOutboxFramesMax = 8;

class SocketContext {
 public:
  SocketContext();
  ~SocketContext();
  SocketContext(const SocketContext&) = delete;
  SocketContext& operator=(const SocketContext&) = delete;

 private:
  friend class Inbox;
  friend class Outbox;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The parts are valid until the next receive().
struct ArrivedMessage {
  bool is_well_formed = false;  // a routing id of ours, and one or two parts
  PeerId from = 0;
  PeerId to = 0;  // 0: the sender does not know our incarnation yet
  size_t part_count = 0;
  std::span<const std::byte> parts[2];
};

struct InboxOptions {
  std::string endpoint;    // tcp://HOST:PORT; port * for a free one
  int64_t part_bytes_max;  // a peer that sends more is disconnected
  int frames_max;          // held per connection
};

class Inbox {
 public:
  // Errors: kInvalid when the endpoint cannot be bound.
  static Result<std::unique_ptr<Inbox>> bind(SocketContext* context, const InboxOptions& options);
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  const std::string& endpoint() const;  // with the port that was bound
  // Returns false when no message is there.
  bool receive(ArrivedMessage* message);

 private:
  friend bool wait_for(std::span<Inbox* const>, std::span<class Outbox* const>, int, TimeUs);
  struct Impl;
  std::unique_ptr<Impl> impl_;
  explicit Inbox(std::unique_ptr<Impl> impl);
};

// What one outbox is for; part of its routing id, so that two to one peer never collide.
enum class OutboxKind : uint8_t { kControl = 'c', kBulk = 'b', kHello = 'h', kRefusal = 'r' };

struct OutboxOptions {
  OutboxKind kind = OutboxKind::kControl;
  PeerId self = 0;
  PeerId to = 0;
  std::string endpoint;
};

class Outbox {
 public:
  // Errors: kInvalid, a malformed endpoint. Whether somebody listens there shows later.
  static Result<std::unique_ptr<Outbox>> connect(SocketContext* context,
                                                 const OutboxOptions& options);
  // Drops what has not been sent, after waiting for at most the linger time (default none).
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Returns false, without sending, when not connected or when enough is queued. The body is not
  // copied: the frame's buffer lives until ZeroMQ has written it.
  bool send(const Frame& frame);
  bool is_connected() const;
  void set_linger(TimeUs duration);

  // What has happened to the connection since the last call; both may be set.
  struct Changes {
    bool connected = false;     // anew: what was under way may be lost
    bool disconnected = false;  // closed, or refused
  };
  Changes take_changes();

 private:
  friend bool wait_for(std::span<Inbox* const>, std::span<Outbox* const>, int, TimeUs);
  struct Impl;
  std::unique_ptr<Impl> impl_;
  explicit Outbox(std::unique_ptr<Impl> impl);
};

// Waits until a message or a change is there, an outbox that could not send can, `wake_fd` (or -1)
// is readable, or the time is over. Returns whether wake_fd is readable. A signal ends the wait.
bool wait_for(std::span<Inbox* const> inboxes, std::span<Outbox* const> outboxes, int wake_fd,
              TimeUs timeout_us);

}  // namespace ft
