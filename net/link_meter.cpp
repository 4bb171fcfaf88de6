#include "net/link_meter.h"

#include <algorithm>

namespace ft {
namespace {

constexpr int64_t kSmallBytes = 4 << 10;   // at most: tells the latency
constexpr int64_t kLargeBytes = 64 << 10;  // at least: tells the rate
// A burst that does not end is cut off there.
constexpr int64_t kBurstBytes = 2 << 20;
constexpr TimeUs kBurstUs = 500 * kMillisecondUs;
constexpr size_t kBursts = 16;

void keep(std::deque<double>* values, double value) {
  values->push_back(value);
  if (values->size() > kBursts) values->pop_front();
}

}  // namespace

void LinkMeter::began(TimeUs now) {
  from_ = now;
  bytes_ = 0;
}

void LinkMeter::acknowledged(int64_t bytes, bool idle, TimeUs now) {
  if (from_ < 0) return;
  bytes_ += bytes;
  const bool long_enough =
      bytes_ >= kBurstBytes || (now - from_ >= kBurstUs && bytes_ >= kLargeBytes);
  if (!idle && !long_enough) return;
  close(now);
  if (idle) {
    from_ = -1;
  } else {
    began(now);
  }
}

void LinkMeter::close(TimeUs now) {
  const auto taken_us = static_cast<double>(std::max<TimeUs>(now - from_, 1));
  if (bytes_ <= kSmallBytes) {
    round_trip(std::max<TimeUs>(now - from_, 1));
  } else if (bytes_ >= kLargeBytes) {
    const double sending_us = std::max(taken_us - round_trip_us(), taken_us / 4);
    keep(&rates_, static_cast<double>(bytes_) / sending_us);
  }
}

void LinkMeter::round_trip(TimeUs taken) { keep(&round_trips_, static_cast<double>(taken)); }

double LinkMeter::bytes_per_us() const {
  return rates_.empty() ? 0 : *std::max_element(rates_.begin(), rates_.end());
}

double LinkMeter::round_trip_us() const {
  return round_trips_.empty() ? 0 : *std::min_element(round_trips_.begin(), round_trips_.end());
}

}  // namespace ft
