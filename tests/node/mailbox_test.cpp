#include "runtime/node/mailbox.h"

#include <doctest/doctest.h>
#include <thread>

TEST_CASE("mailbox: items arrive in order, and close ends the receiver") {
  ft::Mailbox<int> mailbox;
  int sum = 0;
  std::thread receiver([&] {
    int expected = 0;
    int item = 0;
    while (mailbox.take(&item)) {
      CHECK(item == expected++);
      sum += item;
      if (expected == 1000) break;
    }
  });
  for (int i = 0; i < 1000; ++i) {
    mailbox.put(i);
    if (i % 100 == 0) std::this_thread::yield();
  }
  receiver.join();
  CHECK(sum == 499500);
  std::thread waiter([&] {
    int item = 0;
    CHECK(!mailbox.take(&item));
  });
  mailbox.close();
  waiter.join();
}

TEST_CASE("mailbox: wakes the reactor's descriptor") {
  ft::WakeFd wake;
  ft::Mailbox<int> mailbox(&wake);
  mailbox.put(1);
  wake.clear();
  int item = 0;
  CHECK(mailbox.try_take(&item));
  CHECK(item == 1);
  CHECK(!mailbox.try_take(&item));
}
