#include "runtime/node/message_probe.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/base/file_descriptor.h"

namespace ft {
namespace {

constexpr size_t kPieceBytes = 64 << 10;
constexpr int kPieces = 64;
constexpr int kWarmUp = 8;
constexpr int kPatienceMs = 100;  // somebody else may have connected

// Whether a piece got from one end to the other. Neither call waits: the buffers in between may be
// smaller than the piece.
bool pass_on(int front, int back, const std::vector<char>& piece, std::vector<char>* arrived) {
  size_t sent = 0;
  size_t received = 0;
  while (received < piece.size()) {
    const ssize_t out =
        ::send(front, piece.data() + sent, piece.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (out < 0 && errno != EAGAIN) return false;
    const ssize_t in =
        ::recv(back, arrived->data() + received, piece.size() - received, MSG_DONTWAIT);
    if (in == 0 || (in < 0 && errno != EAGAIN)) return false;
    sent += static_cast<size_t>(std::max<ssize_t>(out, 0));
    received += static_cast<size_t>(std::max<ssize_t>(in, 0));
    pollfd item{back, POLLIN, 0};
    if (in >= 0 || out > 0) continue;
    const int readable = ::poll(&item, 1, kPatienceMs);
    if (readable == 0 || (readable < 0 && errno != EINTR)) return false;
  }
  return true;
}

}  // namespace

double message_byte_us() {
  const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const FileDescriptor front(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* name = reinterpret_cast<sockaddr*>(&address);
  socklen_t bytes = sizeof(address);
  if (::bind(listener.get(), name, bytes) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), name, &bytes) != 0 ||
      ::connect(front.get(), name, bytes) != 0) {
    return 0;
  }
  const FileDescriptor back(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const std::vector<char> sent(kPieceBytes, 1);
  std::vector<char> received(kPieceBytes);
  TimeUs from = 0;
  for (int piece = 0; piece < kWarmUp + kPieces; ++piece) {
    if (piece == kWarmUp) from = thread_cpu_now_us();
    if (!pass_on(front.get(), back.get(), sent, &received)) return 0;
  }
  const auto taken_us = static_cast<double>(thread_cpu_now_us() - from);
  return taken_us / static_cast<double>(kPieces * kPieceBytes);
}

}  // namespace ft
