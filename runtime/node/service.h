#pragma once

// What a service of Type=notify tells systemd: sd_notify(3) without its library, one datagram per
// message. Without a service manager nothing happens. One thread.

#include <string>

#include "runtime/base/clock.h"

namespace ft {

class Service {
 public:
  // `socket`: a path, or "@NAME" for an abstract socket; empty: nobody listens. `watchdog_us`: the
  // silence after which the manager ends the process; 0: it does not watch.
  Service(std::string socket, TimeUs watchdog_us)
      : socket_(std::move(socket)), watchdog_us_(watchdog_us) {}

  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which it takes out of the environment:
  // child processes are no services.
  static Service from_environment();

  // Lines such as "READY=1". Never waits; an error is no reason to stop training.
  void tell(const std::string& lines) const;

  // WATCHDOG=1 at half of the time that is allowed. Call often.
  void tick(TimeUs now);

 private:
  std::string socket_;
  TimeUs watchdog_us_;
  TimeUs next_us_ = 0;
};

}  // namespace ft
