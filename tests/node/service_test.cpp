#include "runtime/node/service.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

// The manager's end of a socket.
class Manager {
 public:
  explicit Manager(const std::string& name) : name_(name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    const bool abstract = name[0] == '@';
    if (abstract) address.sun_path[0] = '\0';
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    const size_t length = offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)) ==
            0);
  }
  ~Manager() {
    ::close(fd_);
    if (name_[0] == '/') ::unlink(name_.c_str());
  }
  std::string next() {
    char text[256];
    const ssize_t size = ::recv(fd_, text, sizeof(text), 0);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }

 private:
  std::string name_;
  int fd_;
};

std::string unique(const char* prefix) { return prefix + std::to_string(::getpid()); }

}  // namespace

TEST_CASE("service: tells a manager at a path and at an abstract socket") {
  for (const std::string& name : {unique("/tmp/ftrun-notify-"), unique("@ftrun-notify-")}) {
    Manager manager(name);
    const ft::Service service(name, 0);
    service.tell("READY=1\nSTATUS=looking");
    CHECK(manager.next() == "READY=1\nSTATUS=looking");
  }
}

TEST_CASE("service: the watchdog is told at half of its time, and never when nobody watches") {
  const std::string name = unique("@ftrun-watchdog-");
  Manager manager(name);
  ft::Service service(name, 10 * ft::kSecondUs);
  service.tick(1);
  CHECK(manager.next() == "WATCHDOG=1");
  service.tick(2 * ft::kSecondUs);
  CHECK(manager.next() == "");
  service.tick(6 * ft::kSecondUs);
  CHECK(manager.next() == "WATCHDOG=1");
  ft::Service unwatched(name, 0);
  unwatched.tick(1);
  CHECK(manager.next() == "");
}

TEST_CASE("service: takes the environment, so that child processes are no services") {
  const std::string name = unique("@ftrun-environment-");
  Manager manager(name);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "1000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  ft::Service service = ft::Service::from_environment();
  CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
  CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
  service.tick(1);
  CHECK(manager.next() == "WATCHDOG=1");

  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "1000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  ft::Service other = ft::Service::from_environment();
  other.tick(1);
  CHECK(manager.next() == "");
}

TEST_CASE("service: a name that is none, or nobody there, is no error") {
  for (const char* name : {"", "x", "relative", "/nobody/there", "@nobody"}) {
    ft::Service(name, 0).tell("READY=1");
  }
  ft::Service(std::string(4096, '/'), 0).tell("READY=1");
}
