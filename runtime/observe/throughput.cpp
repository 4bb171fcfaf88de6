#include "runtime/observe/throughput.h"

namespace ft {

double Throughput::finished(TimeUs now) {
  finished_.push_back(now);
  if (finished_.size() > kWindow + 1) finished_.pop_front();
  const TimeUs span = now - finished_.front();
  if (finished_.size() < 2 || span <= 0) return 0;
  const auto batches = static_cast<double>(finished_.size() - 1);
  return batches * static_cast<double>(batch_size_) * 1e6 / static_cast<double>(span);
}

}  // namespace ft
