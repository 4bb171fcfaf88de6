#include "kernels/thread_pool.h"

#include <atomic>
#include <doctest/doctest.h>
#include <thread>
#include <vector>

#include "runtime/base/clock.h"

namespace ft {

TEST_CASE("thread pool: every task runs exactly once, for any number of threads and tasks") {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const int64_t count : {0, 1, 2, 3, 64, 1001}) {
      std::vector<int> runs(static_cast<size_t>(count), 0);  // a data race if a task ran twice
      pool.run(count, [&](int64_t task) { ++runs[static_cast<size_t>(task)]; });
      CHECK(runs == std::vector<int>(static_cast<size_t>(count), 1));
    }
  }
}

TEST_CASE("thread pool: thousands of short jobs back to back, some after a pause") {
  ThreadPool pool(3);
  for (int job = 0; job < 5000; ++job) {
    // Lives on the stack of this iteration: a worker that came late would write into the next one.
    std::atomic<int64_t> sum{0};
    const int64_t count = job % 9;
    pool.run(count, [&](int64_t task) { sum.fetch_add(task + 1); });
    REQUIRE(sum.load() == count * (count + 1) / 2);
    if (job % 1000 == 999) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST_CASE("thread pool: run() waits for the slowest task") {
  ThreadPool pool(2);
  const auto caller = std::this_thread::get_id();
  std::atomic<int> arrived{0};
  std::atomic<bool> slow_done{false};
  pool.run(2, [&](int64_t) {
    arrived.fetch_add(1);
    while (arrived.load() < 2) std::this_thread::yield();
    if (std::this_thread::get_id() == caller) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // far longer than a spin
    slow_done.store(true);
  });
  CHECK(slow_done.load());
}

TEST_CASE("thread pool: one thread means the caller") {
  ThreadPool pool(1);
  const auto caller = std::this_thread::get_id();
  pool.run(5, [&](int64_t) { CHECK(std::this_thread::get_id() == caller); });
  CHECK(pool.worker_cpu_us() == 0);
}

TEST_CASE("thread pool: the workers' time is counted, and waiting takes none") {
  ThreadPool pool(2);
  // Both threads are inside at the same time, so the worker cannot be left out.
  std::atomic<int> arrived{0};
  pool.run(2, [&](int64_t) {
    arrived.fetch_add(1);
    while (arrived.load() < 2) std::this_thread::yield();
    const TimeUs end = thread_cpu_now_us() + 5 * kMillisecondUs;
    while (thread_cpu_now_us() < end) {
    }
  });
  const int64_t after_work = pool.worker_cpu_us();
  CHECK(after_work >= 5 * kMillisecondUs);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(pool.worker_cpu_us() - after_work < 10 * kMillisecondUs);  // spinning would take 100
}

}  // namespace ft
