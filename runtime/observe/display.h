#pragma once

// Display: what a person sees of a run on standard output: a Keras-like line that rewrites itself
// on a terminal, plain lines elsewhere, JSON events, or nothing (DESIGN 7, --progress).

#include <cstdint>
#include <string>

#include "runtime/observe/events.h"
#include "runtime/observe/story.h"
#include "runtime/observe/throughput.h"

namespace ft {

enum class ProgressMode : uint8_t { kAuto, kBar, kLines, kJson, kNone };

class Display {
 public:
  // kAuto becomes kBar on a terminal, kLines elsewhere.
  explicit Display(ProgressMode mode);
  ~Display();
  Display(const Display&) = delete;
  Display& operator=(const Display&) = delete;

  // Each returns the event's JSON line, for the run directory.
  std::string started(const StartedInfo& info, TimeUs now);
  std::string report(const Report& report, TimeUs now);
  std::string finished(const FinishedInfo& info);

  // Over the whole run so far.
  double images_per_second(TimeUs now) const;

 private:
  void show(const Report& report, TimeUs now);
  void show_batch(const BatchReport& report, TimeUs now);
  std::string busy_text(const BatchReport& report, TimeUs now) const;
  std::string eta_text(int64_t batch, TimeUs now) const;
  void print_line(const std::string& line);

  ProgressMode mode_;
  bool output_lost_ = false;  // was told
  StartedInfo info_;
  Throughput throughput_{0};
  double rate_ = 0;  // images per second over the last batches
  TimeUs started_us_ = 0;
  TimeUs first_batch_us_ = 0;  // when the current configuration began to train
  int64_t batches_done_ = 0;
  int64_t batches_since_ = 0;  // in the current configuration
  Story story_;
  TimeUs next_line_ = 0;
};

}  // namespace ft
