#include "runtime/node/service.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace ft {
namespace {

std::string take(const char* name) {
  const char* value = std::getenv(name);
  const std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

}  // namespace

Service Service::from_environment() {
  const std::string socket = take("NOTIFY_SOCKET");
  TimeUs watchdog_us = std::atoll(take("WATCHDOG_USEC").c_str());
  const std::string watched = take("WATCHDOG_PID");
  if (!watched.empty() && std::atoll(watched.c_str()) != ::getpid()) watchdog_us = 0;
  return Service(socket, watchdog_us > 0 ? watchdog_us : 0);
}

void Service::tell(const std::string& lines) const {
  sockaddr_un address{};
  if (socket_.size() < 2 || socket_.size() >= sizeof(address.sun_path)) return;
  if (socket_[0] != '/' && socket_[0] != '@') return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  // An abstract name ends with the length, a path with NUL.
  const size_t length = offsetof(sockaddr_un, sun_path) + socket_.size() + (socket_[0] == '/');
  ::sendto(fd, lines.data(), lines.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length));
  ::close(fd);
}

void Service::tick(TimeUs now) {
  if (watchdog_us_ == 0 || now < next_us_) return;
  tell("WATCHDOG=1");
  next_us_ = now + watchdog_us_ / 2;
}

}  // namespace ft
