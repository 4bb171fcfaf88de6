#pragma once

// Mailbox: a bounded queue from one thread to another. The receiver either blocks in take() (a
// worker) or watches wake_fd() beside its sockets and calls try_take() (the reactor).

#include <condition_variable>
#include <deque>
#include <mutex>

#include "runtime/base/check.h"
#include "runtime/node/wake_fd.h"

namespace ft {

// More than the state machines ever have under way; reaching it is a bug.
constexpr size_t kMailboxItemsMax = 1024;

template <typename T>
class Mailbox {
 public:
  // `wake` is signalled at each put; may be null. It must outlive the mailbox.
  explicit Mailbox(WakeFd* wake = nullptr) : wake_(wake) {}

  void put(T item) {
    {
      const std::lock_guard lock(mutex_);
      FT_CHECK(items_.size() < kMailboxItemsMax);
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    if (wake_ != nullptr) wake_->signal();
  }

  // Blocks until there is an item; false after close().
  bool take(T* item) {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return !items_.empty() || closed_; });
    return pop(item);
  }

  // False when there is none.
  bool try_take(T* item) {
    const std::lock_guard lock(mutex_);
    return pop(item);
  }

  // Items not taken yet are dropped.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      items_.clear();
    }
    ready_.notify_all();
  }

 private:
  bool pop(T* item) {
    if (items_.empty()) return false;
    *item = std::move(items_.front());
    items_.pop_front();
    return true;
  }

  WakeFd* wake_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace ft
