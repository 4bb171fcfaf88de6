#include "runtime/node/wake_fd.h"

#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/base/check.h"

namespace ft {

WakeFd::WakeFd() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { FT_CHECK(fd_ >= 0); }

WakeFd::~WakeFd() { ::close(fd_); }

void WakeFd::signal() {
  const uint64_t one = 1;
  // Fails only when the counter is full: then the waiter is awake anyway.
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof(one));
}

void WakeFd::clear() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd_, &count, sizeof(count));
}

}  // namespace ft
