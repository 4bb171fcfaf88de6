#include "runtime/exec/message_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "runtime/base/clock.h"

namespace ft {
namespace {

constexpr size_t kPieceBytes = 64 << 10;  // what the smallest buffers of a connection take at once
constexpr int kPieces = 64;
constexpr int kWarmUp = 8;

struct Descriptor {
  explicit Descriptor(int opened) : fd(opened) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

bool send_all(int fd, const std::vector<char>& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

bool receive_all(int fd, std::vector<char>* bytes) {
  size_t received = 0;
  while (received < bytes->size()) {
    const ssize_t count = ::recv(fd, bytes->data() + received, bytes->size() - received, 0);
    if (count <= 0) return false;
    received += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

double message_byte_us() {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Descriptor front(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* name = reinterpret_cast<sockaddr*>(&address);
  socklen_t bytes = sizeof(address);
  if (::bind(listener.fd, name, bytes) != 0 || ::listen(listener.fd, 1) != 0 ||
      ::getsockname(listener.fd, name, &bytes) != 0 || ::connect(front.fd, name, bytes) != 0) {
    return 0;
  }
  const Descriptor back(::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC));
  const std::vector<char> sent(kPieceBytes, 1);
  std::vector<char> received(kPieceBytes);
  TimeUs from = 0;
  for (int piece = 0; piece < kWarmUp + kPieces; ++piece) {
    if (piece == kWarmUp) from = thread_cpu_now_us();
    if (!send_all(front.fd, sent) || !receive_all(back.fd, &received)) return 0;
  }
  const auto taken_us = static_cast<double>(thread_cpu_now_us() - from);
  return taken_us / static_cast<double>(kPieces * kPieceBytes);
}

}  // namespace ft
