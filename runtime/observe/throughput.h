#pragma once

// Images per second as wall clock over the last batches (DESIGN 7: 20).

#include <cstddef>
#include <cstdint>
#include <deque>

#include "runtime/base/clock.h"

namespace ft {

class Throughput {
 public:
  explicit Throughput(int64_t batch_size) : batch_size_(batch_size) {}

  // A batch was finished at `now`. Returns images per second over the last kWindow batches (fewer
  // at the beginning); 0 for the first one.
  double finished(TimeUs now);
  // After a pause the window starts anew.
  void restart() { finished_.clear(); }

 private:
  static constexpr size_t kWindow = 20;
  int64_t batch_size_;
  std::deque<TimeUs> finished_;
};

}  // namespace ft
