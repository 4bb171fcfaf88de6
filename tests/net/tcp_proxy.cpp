#include "tests/net/tcp_proxy.h"

#include <arpa/inet.h>
#include <array>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ft {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Moves what is there from one socket to the other; returns false at the end of either.
bool forward(int from, int to) {
  static thread_local std::array<char, 1 << 16> buffer;
  const ssize_t count = recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count <= 0) return false;
  for (ssize_t sent = 0; sent < count;) {
    const ssize_t part =
        send(to, buffer.data() + sent, static_cast<size_t>(count - sent), MSG_NOSIGNAL);
    if (part <= 0) return false;
    sent += part;
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(uint16_t target_port) : target_port_(target_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(listener_, generic, size) == 0);
  REQUIRE(listen(listener_, 16) == 0);
  REQUIRE(getsockname(listener_, generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stop_ = true;
  thread_.join();
  close_all();
  close(listener_);
}

void TcpProxy::accept_one() {
  Tunnel tunnel;
  tunnel.sides[0] = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  tunnel.sides[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(target_port_);
  if (connect(tunnel.sides[1], reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(tunnel.sides[0]);
    close(tunnel.sides[1]);
    return;
  }
  tunnels_.push_back(tunnel);
  ++connections_;
}

void TcpProxy::close_all() {
  for (const Tunnel& tunnel : tunnels_) {
    close(tunnel.sides[0]);
    close(tunnel.sides[1]);
  }
  tunnels_.clear();
}

void TcpProxy::run() {
  while (!stop_) {
    if (cut_.exchange(false)) close_all();
    std::vector<pollfd> items = {{listener_, POLLIN, 0}};
    for (const Tunnel& tunnel : tunnels_) {
      for (const int side : tunnel.sides) items.push_back({side, POLLIN, 0});
    }
    if (poll(items.data(), items.size(), 5) <= 0) continue;
    std::vector<Tunnel> alive;
    for (size_t i = 0; i < tunnels_.size(); ++i) {
      bool open = true;
      for (size_t side = 0; side < 2; ++side) {
        if (items[1 + 2 * i + side].revents == 0) continue;
        open = open && forward(tunnels_[i].sides[side], tunnels_[i].sides[1 - side]);
      }
      if (open) {
        alive.push_back(tunnels_[i]);
      } else {
        close(tunnels_[i].sides[0]);
        close(tunnels_[i].sides[1]);
      }
    }
    tunnels_ = std::move(alive);
    if (items[0].revents != 0) accept_one();
  }
}

}  // namespace ft
