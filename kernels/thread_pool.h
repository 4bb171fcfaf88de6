#pragma once

// A pool for data-parallel loops. The work is cut into tasks by its shape, never by the number of
// threads, so results are the same for any pool size; which thread runs a task is left to chance.
//
// One thread owns the pool and calls run(); tasks must not call run() again.

#include <cstdint>
#include <functional>
#include <memory>

namespace ft {

class ThreadPool {
 public:
  // `threads` counts the caller: 1 starts no thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls task(0) .. task(count - 1), each once, on any thread and in any order; returns when all
  // have returned.
  void run(int64_t count, const std::function<void(int64_t)>& task);

  // CPU time that the workers (not the caller) have used so far, for --slowdown and profiling.
  int64_t worker_cpu_us() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ft
