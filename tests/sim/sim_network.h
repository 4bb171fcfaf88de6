#pragma once

// SimNetwork: hosts, links between them, and connections over the links, behind net/socket.h. What
// the transport sees is what zmq_sockets.cpp shows it: an outbox keeps trying to connect, holds few
// frames, and loses what is under way when its connection breaks; frames of one connection stay in
// order. One thread.
//
// A process that is killed closes its connections; a machine that loses power does not: its peers
// wait for a timeout of theirs, or until it is there again and knows nothing of the connection. A
// blocked link neither delivers nor closes until it is healed or, much later, TCP gives up.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/socket.h"
#include "tests/sim/world.h"

namespace ft::sim {

// Frames under way or not yet read by the receiver: what kernel buffers hold.
constexpr size_t kPathFramesMax = 96;

// A process as the network sees it.
struct NetProcess {
  std::string name;
  int host = 0;
  bool open = true;
  bool silent = false;  // gone with its machine: nobody answers for it
  bool paused = false;
  int unread = 0;              // messages in its inboxes
  std::function<void()> wake;  // something is there to look at
};
using NetProcessPtr = std::shared_ptr<NetProcess>;

// From one host to another.
struct Link {
  TimeUs latency = 300;
  int64_t bytes_per_s = 100'000'000;
  bool blocked = false;
  int blocks = 0;  // so far: tells one from the next
  int duplicate_percent = 0;
};

struct Connection;
struct InboxState;

class SimNetwork {
 public:
  explicit SimNetwork(World* world) : world_(*world) {}

  std::unique_ptr<Sockets> open(const NetProcessPtr& process);
  // The process is gone. Its sockets may be destroyed before or after.
  void close(const NetProcessPtr& process);
  // Its sockets work again.
  void woken(const NetProcessPtr& process);

  // Whoever connects to `alias` reaches `endpoint`: an address that moves between machines. What
  // was connected through it before breaks.
  void set_alias(const std::string& alias, const std::string& endpoint);

  // Of a link that nothing was said about.
  void set_default(const Link& link) { default_ = link; }
  Link& link(int from, int to) {
    return links_.emplace(std::pair(from, to), default_).first->second;
  }
  void block(int from, int to);
  void heal(int from, int to);
  void heal_all();
  // Breaks the connections between two hosts; they are made anew at once.
  void cut(int a, int b);

  // May change a frame on its way in.
  std::function<void(const NetProcess& target, Frame* frame)> tamper;

 private:
  friend struct SimInbox;
  friend struct SimOutbox;
  friend class SimSockets;
  using ConnectionPtr = std::shared_ptr<Connection>;
  using InboxPtr = std::shared_ptr<InboxState>;

  const std::string& resolve(const std::string& endpoint) const;
  bool is_blocked(int a, int b) { return link(a, b).blocked || link(b, a).blocked; }
  void attempt(const ConnectionPtr& connection, TimeUs give_up_at);
  void refuse(const ConnectionPtr& connection, TimeUs delay);
  void establish(const ConnectionPtr& connection, const InboxPtr& inbox);
  void break_off(const ConnectionPtr& connection);
  void break_dead(int host);
  bool send(const ConnectionPtr& connection, const Frame& frame);
  void deliver(const ConnectionPtr& connection, int generation);
  void arrive(const ConnectionPtr& connection, Frame frame);
  void close(Connection* connection) const;
  void forget_closed();

  World& world_;
  Link default_;
  std::map<std::pair<int, int>, Link> links_;
  std::map<std::string, std::string> aliases_;
  std::map<std::string, InboxPtr> inboxes_;  // who listens there, or did last
  std::vector<ConnectionPtr> connections_;
};

}  // namespace ft::sim
