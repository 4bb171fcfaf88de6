#include "runtime/node/mailbox.h"

#include <doctest/doctest.h>

#include <thread>

TEST_CASE("mailbox: items arrive in order, and close ends the receiver") {
  ft::Mailbox<int> mailbox;
  int sum = 0;
  std::thread receiver([&] {
    int expected = 0;
    while (std::optional<int> item = mailbox.take()) {
      CHECK(*item == expected++);
      sum += *item;
      if (expected == 1000) break;
    }
  });
  for (int i = 0; i < 1000; ++i) {
    mailbox.put(i);
    if (i % 100 == 0) std::this_thread::yield();
  }
  receiver.join();
  CHECK(sum == 499500);
  std::thread waiter([&] { CHECK(!mailbox.take().has_value()); });
  mailbox.close();
  waiter.join();
}

TEST_CASE("mailbox: wakes the reactor's descriptor") {
  ft::WakeFd wake;
  ft::Mailbox<int> mailbox(&wake);
  mailbox.put(1);
  wake.clear();
  CHECK(mailbox.try_take() == 1);
  CHECK(!mailbox.try_take().has_value());
}
