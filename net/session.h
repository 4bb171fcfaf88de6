#pragma once

// Session: everything between us and one peer within one term: both channels' streams, the
// transfers on their way out and those being put together. A new term begins with a new session;
// nothing of the old one survives. Pure.

#include <array>

#include "net/assembler.h"
#include "net/chunker.h"
#include "net/control.h"
#include "net/stream.h"

namespace ft {

constexpr size_t kControlQueuedMax = 65536;
constexpr int64_t kControlQueuedBytesMax = 64 << 20;

class Session {
 public:
  // `pause_received`: the peer's Pause that led to this term was frame 0 of its control stream.
  Session(const Envelope& envelope, bool pause_received);

  // Both return false when too much is queued for a peer that acknowledges nothing; the message is
  // dropped, so the stream has a hole and the caller must end the session.
  bool send(net::Control message);
  bool send_bulk(const BulkName& name, ConstBufferPtr bytes, Priority priority);

  // The frame to hand to this channel's connection now, or null.
  const Frame* next(Channel channel);

  const SendStream& sender(Channel channel) const { return senders_[static_cast<size_t>(channel)]; }
  SendStream& sender(Channel channel) { return senders_[static_cast<size_t>(channel)]; }
  ReceiveStream& receiver(Channel channel) { return receivers_[static_cast<size_t>(channel)]; }
  Assembler& assembler() { return assembler_; }

  int64_t bulk_bytes_pending() const;
  // Nothing is queued or unacknowledged.
  bool is_idle() const;
  // A frame has been numbered or counted: beginning anew in the same term would confuse the peer.
  bool is_used() const;
  TimeUs resend_at() const;

  // Nothing is sent or accepted any more, until the next term.
  void end();
  bool is_ended() const { return ended_; }

 private:
  Envelope envelope_;
  std::array<SendStream, kChannelCount> senders_;
  std::array<ReceiveStream, kChannelCount> receivers_;
  Chunker chunker_;
  Assembler assembler_;
  bool ended_ = false;
};

}  // namespace ft
