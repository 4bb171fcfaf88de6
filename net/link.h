#pragma once

// Link: one connected peer: an outbox per channel, and the current term's session. It moves frames
// from the session to the outboxes; what arrives is the transport's business.

#include <deque>
#include <memory>
#include <string>

#include "net/link_meter.h"
#include "net/session.h"
#include "net/socket.h"
#include "net/traffic.h"

namespace ft {

class Link {
 public:
  Link(PeerId peer, Session session, TrafficCounts* traffic)
      : peer_(peer), session_(std::move(session)), traffic_(traffic) {}
  // The peer's, with keys: its messages come under no other.
  const PublicKey& key() const { return key_; }

  // Opens both outboxes, in place of older ones; the same endpoints and key again change nothing.
  // Errors: kInvalid, a malformed endpoint; then nothing has changed.
  Status connect(Sockets* sockets, PeerId self, const std::string& control_endpoint,
                 const std::string& bulk_endpoint, const PublicKey& key);

  Session& session() { return session_; }
  const Session& session() const { return session_; }
  // A new term. The peer hears that we have arrived before anything else of it: what it has sent
  // ahead of us comes again at once, what it sends from now on does not.
  void begin(Session session, const Envelope& envelope);

  // Refuse and the like, stamped.
  void send_unsequenced(const net::Control& message);
  // Stamped; its times are filled in here. Only the newest counts; it leaves again on every new
  // connection, so that a peer that saw the old one break hears at once that we live.
  void send_heartbeat(net::Control message, TimeUs now);
  // The peer's. Its echo of ours tells the round trip, also of a link that is seldom idle for long.
  void heard(const net::Heartbeat& heartbeat, TimeUs now);
  // Hands over what may leave. `envelope` stamps acknowledgements.
  void pump_acks(const Envelope& envelope);
  void pump(TimeUs now);

  // The peer has everything below `next`. Returns false if that cannot be.
  bool acknowledged(Channel channel, uint64_t next, TimeUs now);
  const LinkMeter& meter() const { return meter_; }

  // Looks at both connections; returns true once when one was closed or refused.
  bool take_changes();
  bool is_down() const { return is_down_; }
  // Something waits to be sent or acknowledged.
  bool is_pending() const { return !session_.is_idle() || !unsequenced_.empty(); }
  Outbox& outbox(Channel channel) const { return *outboxes_[static_cast<size_t>(channel)]; }

 private:
  bool hand_over(Channel channel, const Frame& frame);
  void set_floor();
  int64_t bytes_in_flight() const;

  PeerId peer_;
  std::string endpoints_[kChannelCount];
  PublicKey key_{};
  std::unique_ptr<Outbox> outboxes_[kChannelCount];
  std::deque<Frame> unsequenced_;
  Frame heartbeat_;           // the newest
  TimeUs heard_sent_us_ = 0;  // of the peer's newest heartbeat that told it
  TimeUs heard_at_ = 0;
  Session session_;
  TrafficCounts* traffic_;
  LinkMeter meter_;
  bool is_down_ = false;
};

}  // namespace ft
