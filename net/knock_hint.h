#pragma once

// KnockHint: what to tell a user whose stage knocks at central in vain. Pure.

#include <set>
#include <string>

#include "net/guard.h"
#include "net/socket.h"

namespace ft {

class KnockHint {
 public:
  // The line to show for what has happened to the connection, mostly none: once for each cause,
  // until it succeeds. `keys` is null without; `name` is this device's.
  std::string of(const Outbox::Changes& changes, const std::string& endpoint,
                 const TransportKeys* keys, const std::string& name, TimeUs now);

 private:
  std::set<Refusal> told_;
  TimeUs closed_since_ = -1;
};

}  // namespace ft
