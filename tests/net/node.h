#pragma once

// A node for transport tests: a transport and everything its handler was told. Tests poll all nodes
// in turn in one thread until something holds, or fail after a generous time.

#include <doctest/doctest.h>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/transport.h"
#include "net/zmq_sockets.h"

namespace ft {

struct ArrivedBulk {
  PeerId from = 0;
  BulkHeader header;
  BufferPtr bytes;
};

class Node : public TransportHandler {
 public:
  explicit Node(PeerId self, const std::string& listen = "tcp://127.0.0.1:*",
                std::optional<TransportKeys> keys = {})
      : self_(self) {
    TransportOptions options;
    options.self = self;
    options.listen = listen;
    options.keys = std::move(keys);
    auto transport = Transport::create(options, make_zmq_sockets());
    REQUIRE_MESSAGE(transport.ok(), transport.status().message());
    transport_ = std::move(*transport);
  }

  PeerId self() const { return self_; }
  Transport& transport() { return *transport_; }
  void connect(Node& peer) {
    REQUIRE(transport_
                ->connect(peer.self(), peer.transport().control_endpoint(),
                          peer.transport().bulk_endpoint())
                .ok());
  }
  void poll() { transport_->poll(monotonic_now_us() + kMillisecondUs, -1, this); }

  void on_control(PeerId from, const net::Control& message) override {
    control.emplace_back(from, message);
    if (control_hook) control_hook(from, message);
  }
  int64_t expected_bytes(PeerId from, const BulkHeader& header) override {
    return expected_hook ? expected_hook(from, header) : header.total_bytes;
  }
  void on_bulk(PeerId from, const BulkHeader& header, BufferPtr bytes) override {
    bulk.push_back({from, header, std::move(bytes)});
    if (bulk_hook) bulk_hook();
  }
  void on_disconnected(PeerId peer) override { disconnected.push_back(peer); }
  void on_stranger(const RefusedPeer& stranger) override { strangers.push_back(stranger); }

  int count(net::Control::BodyCase body) const {
    int found = 0;
    for (const auto& [from, message] : control) found += message.body_case() == body ? 1 : 0;
    return found;
  }

  std::vector<std::pair<PeerId, net::Control>> control;
  std::vector<ArrivedBulk> bulk;
  std::vector<PeerId> disconnected;
  std::vector<RefusedPeer> strangers;
  std::function<void(PeerId, const net::Control&)> control_hook;
  std::function<int64_t(PeerId, const BulkHeader&)> expected_hook;
  std::function<void()> bulk_hook;

 private:
  PeerId self_;
  std::unique_ptr<Transport> transport_;
};

// Polls until `holds`; returns whether it came to hold.
inline bool run_until(std::initializer_list<Node*> nodes, const std::function<bool()>& holds,
                      TimeUs patience = 120 * kSecondUs) {
  const TimeUs deadline = monotonic_now_us() + patience;
  while (!holds()) {
    if (monotonic_now_us() > deadline) return false;
    for (Node* node : nodes) node->poll();
  }
  return true;
}

// For "nothing more happens".
inline void run_for(std::initializer_list<Node*> nodes, TimeUs duration) {
  run_until(
      nodes, [] { return false; }, duration);
}

inline net::Control heartbeat(int64_t version) {
  net::Control message;
  message.mutable_heartbeat()->set_version(version);
  return message;
}

inline net::Control progress(int64_t version) {
  net::Control message;
  message.mutable_progress()->set_version(version);
  return message;
}

inline BufferPtr pattern(size_t size, uint64_t seed) {
  BufferPtr buffer = make_buffer(size);
  auto* bytes = reinterpret_cast<uint8_t*>(buffer->data());
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>((i * 131 + (i >> 8) + seed));
  return buffer;
}

inline const RunId kRun{7, 7, 7};

inline BulkName named(BulkKind kind, int32_t item, int64_t batch = 0) {
  return {kind, batch, 0, item};
}

// Progress 0, 1, ... of `count` versions, and no other.
inline bool in_order(const Node& node, int64_t count) {
  int64_t next = 0;
  for (const auto& [from, message] : node.control) {
    if (message.has_progress() && message.progress().version() != next++) return false;
  }
  return next == count;
}

}  // namespace ft
