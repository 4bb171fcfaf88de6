#pragma once

// Sockets: what the transport needs of a network, and its clock. The product's is ZeroMQ
// (zmq_sockets.h); the simulator brings its own. One thread owns them.
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
#include "net/keys.h"
#include "net/peer_id.h"
#include "runtime/base/clock.h"
#include "runtime/base/status.h"

namespace ft {

// Messages inside a connection on their way to one peer, per outbox. Few, so that an urgent one
// does not queue behind many.
constexpr int kOutboxFramesMax = 8;

// The parts are valid until the next receive().
struct ArrivedMessage {
  bool is_well_formed = false;  // a routing id of ours, and one or two parts
  PeerId from = 0;
  PeerId to = 0;    // 0: the sender does not know our incarnation yet
  PublicKey key{};  // what the connection has proven; all zero without keys
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
  virtual ~Inbox() = default;
  virtual const std::string& endpoint() const = 0;  // with the port that was bound
  // Returns false when no message is there.
  virtual bool receive(ArrivedMessage* message) = 0;
};

// What one outbox is for; part of its routing id, so that two to one peer never collide.
enum class OutboxKind : uint8_t { kControl = 'c', kBulk = 'b', kHello = 'h', kRefusal = 'r' };

struct OutboxOptions {
  OutboxKind kind = OutboxKind::kControl;
  PeerId self = 0;
  PeerId to = 0;
  std::string endpoint;
  PublicKey server{};  // with keys: the only one that may listen there
};

// Why a connection came to nothing although somebody listens.
enum class Refusal : uint8_t {
  kNone,
  kKey,        // our key is not allowed there
  kMechanism,  // one side uses keys and the other does not
  kClosed,     // without a word: perhaps the other's key is not the one we were told
};

// Its destructor drops what has not been sent, after waiting for at most the linger time (default
// none).
class Outbox {
 public:
  virtual ~Outbox() = default;
  // Returns false, without sending, when not connected or when enough is queued. The body is not
  // copied: the frame's buffer lives until it has been written.
  virtual bool send(const Frame& frame) = 0;
  virtual bool is_connected() const = 0;
  virtual void set_linger(TimeUs duration) = 0;

  // What has happened to the connection since the last call; both may be set.
  struct Changes {
    bool connected = false;     // anew: what was under way may be lost
    bool disconnected = false;  // closed, or refused
    Refusal refusal = Refusal::kNone;
  };
  virtual Changes take_changes() = 0;
};

// Judges connections to our inboxes when keys are in use. Called within Sockets::wait().
class Gate {
 public:
  virtual ~Gate() = default;
  // The other end has proven that this key is its own. `address`: an IP address.
  virtual bool admits(const PublicKey& key, const std::string& address) = 0;
  // A connection was refused before any key was proven. `address` is empty if it is not known.
  virtual void on_refused(const std::string& address, const std::string& reason) = 0;
};

class Sockets {
 public:
  virtual ~Sockets() = default;
  // Before the first bind: from then on every connection is encrypted, both ends prove their keys,
  // and `gate`, which outlives the sockets, decides who may connect.
  virtual void use_keys(const KeyPair& own, Gate* gate) = 0;
  // Errors: kInvalid when the endpoint cannot be bound.
  virtual Result<std::unique_ptr<Inbox>> bind(const InboxOptions& options) = 0;
  // Errors: kInvalid, a malformed endpoint. Whether somebody listens there shows later.
  virtual Result<std::unique_ptr<Outbox>> connect(const OutboxOptions& options) = 0;
  // Waits until a message or a change is there, an outbox that could not send can, `wake_fd` (or
  // -1) is readable, or the time is over. Returns whether wake_fd is readable. A signal ends the
  // wait. The boxes are these sockets' own.
  virtual bool wait(std::span<Inbox* const> inboxes, std::span<Outbox* const> outboxes, int wake_fd,
                    TimeUs timeout_us) = 0;
  virtual TimeUs now() = 0;
};

}  // namespace ft
