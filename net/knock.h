#pragma once

// Knock: one message to somebody with whom we have no link: a Hello to a central whose incarnation
// is not known yet, a Refuse to a node of another protocol version. It waits for the connection;
// only the newest is kept.

#include <memory>
#include <optional>
#include <string>

#include "net/message.pb.h"
#include "net/socket.h"
#include "net/traffic.h"

namespace ft {

class Knock {
 public:
  explicit Knock(TrafficCounts* traffic) : traffic_(traffic) {}

  // Another endpoint or key than the last one closes the old outbox. Errors: kInvalid, a malformed
  // endpoint.
  Status send(Sockets* sockets, const OutboxOptions& options, const net::Control& message);
  void pump();
  // Null before the first send().
  Outbox* outbox() const { return outbox_.get(); }
  const std::string& endpoint() const { return endpoint_; }

 private:
  TrafficCounts* traffic_;
  std::string endpoint_;
  PublicKey server_{};
  std::unique_ptr<Outbox> outbox_;
  std::optional<Frame> frame_;
};

}  // namespace ft
