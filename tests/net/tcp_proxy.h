#pragma once

// TcpProxy: a loopback port that forwards to another one until it cuts its connections. A thread of
// its own; cut() may be called from any.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace ft {

class TcpProxy {
 public:
  explicit TcpProxy(uint16_t target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  uint16_t port() const { return port_; }
  // Closes all connections; new ones are accepted again.
  void cut() { cut_ = true; }
  // Connections made so far.
  int connections() const { return connections_; }

 private:
  // Both directions of one connection.
  struct Tunnel {
    int sides[2] = {-1, -1};
  };
  void run();
  void accept_one();
  void close_all();

  uint16_t target_port_;
  uint16_t port_ = 0;
  int listener_ = -1;
  std::vector<Tunnel> tunnels_;
  std::atomic<bool> cut_{false};
  std::atomic<bool> stop_{false};
  std::atomic<int> connections_{0};
  std::thread thread_;
};

}  // namespace ft
