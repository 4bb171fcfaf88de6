#pragma once

// Transport: ordered, acknowledged, flow-controlled messages between named processes.
//
// A node binds two inboxes (ROUTER, receive only: control and bulk) and opens two outboxes (DEALER,
// send only) per peer; a reply travels through the replier's own outbox. Streams are (sender,
// receiver, channel, term): sequence numbers start at 0 with each term; an unacknowledged frame is
// resent, an old term's frames are forgotten, a newer term's stay unacknowledged until the receiver
// has reached it. The window of unacknowledged bytes is the credit: it bounds both sides' memory.
//
// Bulk frames leave in order of priority; within one priority in order of sending. One thread (the
// reactor) owns the transport; nothing here blocks but poll() and flush(). The network is behind
// socket.h.
//
// With keys (guard.h) a connection proves its other end's key: a link's messages come under the
// key that connect() was given, only central may pause, refuse and discard, and a Hello bears the
// name that its key is allowed as. What does not fit is dropped, counted and told.
//
// How a run begins. Central, on a Hello: connect(stage); to begin a term: set_term(run, T), then
// send(Pause) to all. A stage repeats send_hello() until a Pause comes and inside on_control() does
// connect(central), set_term(run, T), send(Inventory).
//
// A Pause of a newer term (of any run, while the own one is all zero) is the only sequenced message
// that is delivered before its term is reached. It counts as frame 0 of that term's stream; a node
// that does not follow it never acknowledges it and is not told again. A Pause of an older term, or
// of the own one from a stranger, is delivered, too, outside of any stream: its sender wants to be
// told that another leads.
//
// Frames of a peer that is not connected stay unacknowledged, too, until connect(). A peer that was
// disconnected after frames had been exchanged is connected again only for unsequenced messages
// until the next term: its streams cannot begin twice in one.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/bulk.h"
#include "net/guard.h"
#include "net/message.pb.h"
#include "net/peer_id.h"
#include "net/socket.h"
#include "net/traffic.h"
#include "runtime/base/buffer.h"
#include "runtime/base/clock.h"
#include "runtime/base/status.h"

namespace ft {

struct TransportOptions {
  PeerId self = 0;
  std::string listen = "tcp://127.0.0.1:*";  // control; bulk takes a free port of the same host
  std::string advertise;  // host to tell peers instead of the bound one; empty: the bound one
  std::optional<TransportKeys> keys;  // none: nothing is encrypted, everybody may connect
};

// Called from poll(), on its thread.
class TransportHandler {
 public:
  virtual ~TransportHandler() = default;
  // A valid control message, each once and in order per stream; Hello, Refuse and Heartbeat as they
  // come, from anybody. (A Hello of another protocol version is answered here with a Refuse.)
  // Here, in on_bulk() and in on_disconnected() the handler may call everything of the transport
  // but poll() and flush(); in expected_bytes() nothing.
  virtual void on_control(PeerId from, const net::Control& message) = 0;
  // The bytes that a transfer of this name from this peer must have, or -1 to refuse it. Asked
  // before memory is allocated.
  virtual int64_t expected_bytes(PeerId from, const BulkHeader& header) = 0;
  virtual void on_bulk(PeerId from, const BulkHeader& header, BufferPtr bytes) = 0;
  // The connection of an outbox to this peer was closed or refused; ZeroMQ goes on trying.
  virtual void on_disconnected(PeerId peer) = 0;
  // Somebody was refused for the sake of keys.
  virtual void on_stranger(const RefusedPeer& stranger) { (void)stranger; }
};

// As LinkMeter has it.
struct LinkSpeed {
  PeerId peer = 0;
  double bytes_per_us = 0;
  double round_trip_us = 0;
};

class Transport {
 public:
  // Errors: kInvalid when the endpoint cannot be bound (in use: says so and how to choose another).
  static Result<std::unique_ptr<Transport>> create(const TransportOptions& options,
                                                   std::unique_ptr<Sockets> sockets);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // What peers connect to.
  const std::string& control_endpoint() const;
  const std::string& bulk_endpoint() const;

  // Opens outboxes; a second call with other endpoints replaces them. `public_key`, 32 bytes, is
  // what the peer must prove, if keys are in use. Errors: kInvalid, a malformed endpoint, no key.
  Status connect(PeerId peer, const std::string& control_endpoint, const std::string& bulk_endpoint,
                 const std::string& public_key = "");
  // Closes the outboxes and forgets the peer's streams; nothing queued is delivered later, nothing
  // sequenced is accepted from it or sent to it until the next term.
  void disconnect(PeerId peer);

  // Sends a Hello to an endpoint whose incarnation is not known yet (a stage looking for central),
  // through an outbox of its own that keeps retrying the connection; repeated by the caller until
  // answered. The next call with another endpoint closes the old outbox.
  Status send_hello(const std::string& endpoint, const net::Hello& hello);

  // From now on messages are stamped with this run and term. Streams start anew; transfers in
  // progress are dropped on both sides. Frames of an older term or another run are dropped and
  // counted. The same run and term again changes nothing. REQUIRES: within one run terms grow.
  void set_term(const RunId& run, uint64_t term);

  // Sequenced, except Hello, Refuse, Heartbeat and Ack. A message to a peer that is not connected
  // is dropped. Of heartbeats the newest leaves again on every new connection. The envelope is
  // filled in here.
  void send(PeerId to, net::Control message);
  void send_bulk(PeerId to, const BulkName& name, ConstBufferPtr bytes, Priority priority);
  // Bytes queued or unacknowledged for this peer on the bulk channel.
  int64_t bulk_bytes_pending(PeerId peer) const;

  // Waits until a socket or `wake_fd` is readable or `deadline` has come; handles what has arrived,
  // acknowledges, resends what is overdue. Returns whether wake_fd is readable.
  bool poll(TimeUs deadline, int wake_fd, TransportHandler* handler);

  // Sends what is queued and waits until it is acknowledged or its peer's connection is closed, at
  // most until `deadline`.
  void flush(TimeUs deadline, TransportHandler* handler);

  const TrafficCounts& traffic() const;
  // To the peers of which something is known.
  std::vector<LinkSpeed> link_speeds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  explicit Transport(std::unique_ptr<Impl> impl);
};

}  // namespace ft
