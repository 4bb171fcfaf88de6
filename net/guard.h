#pragma once

// Guard: who may connect and who may say what, when keys are in use. A connection proves which
// public key its other end has; the guard judges by that key, never by what a message claims.
//
// Central knows its devices by its allow list. A stage knows central's key and follows nobody else;
// the other members' keys come from central, with their endpoints, and count while they are linked
// (the transport asks for those itself). Owned by the transport's thread.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "net/allow_list.h"
#include "net/keys.h"
#include "net/message.pb.h"
#include "runtime/base/clock.h"

namespace ft {

struct TransportKeys {
  KeyPair own;
  PublicKey central{};  // the only one that leads; at central its own
  AllowList devices;    // who may join; without a path at a stage
};

// Somebody who was refused.
struct RefusedPeer {
  PublicKey key{};      // all zero: it has proven none
  std::string address;  // empty: not known
  std::string reason;
  int64_t count = 0;  // so far, of the same key and reason
};

std::string text_of(const RefusedPeer& stranger);

class Guard {
 public:
  explicit Guard(const TransportKeys& keys) : keys_(keys) {}

  const TransportKeys& keys() const { return keys_; }
  // Central or, by the file as it is now, an allowed device.
  bool admits(const PublicKey& key);
  void refuse_unknown(const PublicKey& key, const std::string& address, TimeUs now);
  // Why a message with this body may not come from this key; empty if it may.
  std::string objection(const net::Control& message, const PublicKey& key) const;

  // Counts; what is to be told of it comes from take_strangers(): the first, the eighth, and so
  // on. A stage waits a moment before the first: another member may just be ahead of central's
  // word.
  void refused(const PublicKey& key, const std::string& address, const std::string& reason,
               TimeUs now);
  std::vector<RefusedPeer> take_strangers();
  int64_t refused_count() const { return refused_count_; }

 private:
  struct Seen {
    TimeUs first = 0;
    int64_t count = 0;
    int64_t told = 0;
  };
  bool leads() const { return !keys_.devices.path().empty(); }

  TransportKeys keys_;
  std::map<std::pair<PublicKey, std::string>, Seen> seen_;
  std::vector<RefusedPeer> strangers_;
  int64_t refused_count_ = 0;
};

}  // namespace ft
