#pragma once

// An eventfd: wakes a thread that waits for sockets.

namespace ft {

class WakeFd {
 public:
  WakeFd();
  ~WakeFd();
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;

  int fd() const { return fd_; }
  void signal();  // from any thread, and from signal handlers
  void clear();   // by the waiting thread, before it looks for work

 private:
  int fd_;
};

}  // namespace ft
