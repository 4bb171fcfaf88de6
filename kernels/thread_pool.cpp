#include "kernels/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <thread>
#include <time.h>
#include <vector>

#include "runtime/base/check.h"

namespace ft {
namespace {

// A layer's kernels follow each other within microseconds: waiting that long on the core is
// cheaper than sleeping, waiting longer takes the core from somebody who computes. By the clock,
// as a pause takes from one cycle to more than a hundred.
constexpr std::chrono::microseconds kSpin(100);
constexpr int kPausesByClock = 32;  // between two looks at it

void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// True when `done` came true within the spin.
template <typename Condition>
bool spin_until(const Condition& done) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int round = 0; round < kPausesByClock; ++round) {
      if (done()) return true;
      spin_pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

// A job is open from run() until its caller has seen the last task claimed. A worker joins an open
// job under the mutex and leaves it under the mutex; run() returns when the job is closed and
// nobody is inside, so a worker that wakes late can never touch the next job's tasks by mistake.
struct ThreadPool::Impl {
  std::mutex mutex;
  std::condition_variable job_opened;
  std::condition_variable workers_left;
  bool is_open = false;
  bool is_stopping = false;
  const std::function<void(int64_t)>* task = nullptr;
  int64_t task_count = 0;

  std::atomic<uint64_t> jobs{0};  // opened so far; written under the mutex, spun on without it
  std::atomic<int> inside{0};     // workers in the job; likewise
  std::atomic<int64_t> next{0};   // first task that nobody has claimed
  bool is_running = false;        // the caller's own: run() does not nest

  std::vector<std::thread> workers;

  void claim_tasks() {
    for (;;) {
      const int64_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= task_count) return;
      (*task)(index);
    }
  }

  void work() {
    uint64_t seen = 0;
    std::unique_lock lock(mutex, std::defer_lock);
    for (;;) {
      spin_until([&] { return jobs.load(std::memory_order_acquire) != seen; });
      lock.lock();
      job_opened.wait(lock, [&] { return is_stopping || jobs.load() != seen; });
      if (is_stopping) return;
      seen = jobs.load();
      if (is_open) {
        inside.fetch_add(1);
        lock.unlock();
        claim_tasks();
        lock.lock();
        if (inside.fetch_sub(1) == 1) workers_left.notify_one();
      }
      lock.unlock();
    }
  }

  void run(int64_t count, const std::function<void(int64_t)>& function) {
    {
      std::lock_guard lock(mutex);
      task = &function;
      task_count = count;
      next.store(0, std::memory_order_relaxed);
      is_open = true;
      jobs.fetch_add(1, std::memory_order_release);
    }
    job_opened.notify_all();
    claim_tasks();
    spin_until([&] { return inside.load(std::memory_order_acquire) == 0; });
    std::unique_lock lock(mutex);
    is_open = false;
    workers_left.wait(lock, [&] { return inside.load() == 0; });
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>()) {
  FT_CHECK(threads >= 1);
  for (int i = 1; i < threads; ++i) {
    impl_->workers.emplace_back([impl = impl_.get()] { impl->work(); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->is_stopping = true;
  }
  impl_->job_opened.notify_all();
  for (std::thread& worker : impl_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(impl_->workers.size()) + 1; }

void ThreadPool::run(int64_t count, const std::function<void(int64_t)>& task) {
  FT_CHECK(!impl_->is_running);
  impl_->is_running = true;
  if (impl_->workers.empty() || count <= 1) {
    for (int64_t index = 0; index < count; ++index) task(index);
  } else {
    impl_->run(count, task);
  }
  impl_->is_running = false;
}

int64_t ThreadPool::worker_cpu_us() const {
  int64_t total_us = 0;
  for (std::thread& worker : impl_->workers) {
    clockid_t clock = 0;
    timespec time{};
    FT_CHECK(pthread_getcpuclockid(worker.native_handle(), &clock) == 0);
    FT_CHECK(clock_gettime(clock, &time) == 0);
    total_us += int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
  }
  return total_us;
}

}  // namespace ft
