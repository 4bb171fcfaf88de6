#pragma once

// What the state machines tell the world about a run. The shell turns reports into progress lines,
// JSON events and metrics; nothing here changes training.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/base/layer_range.h"

namespace ft {

struct DeviceReport {
  std::string name;
  uint64_t incarnation = 0;
  LayerRange range;
};

struct ReconfiguredReport {
  uint64_t term = 0;
  std::string reason;  // start, join, leave, repartition, failure, restart
  std::vector<DeviceReport> stages;
  int64_t resume_batch = 0;
  int64_t replayed = 0;  // batches that were finished and are trained again
  TimeUs duration_us = 0;
  bool exact = true;
};

struct DeviceJoinedReport {
  std::string name;
  int devices = 0;  // now, central included
};

struct DeviceLostReport {
  std::string name;
  std::string cause;
  int devices = 0;
};

// Nobody who is here holds these layers at the newest complete cut: waiting for those who do.
struct WaitingReport {
  int64_t version = 0;
  std::string layers;
};

// A batch has been stepped by every stage.
struct BatchReport {
  int64_t batch = 0;
  double loss = 0;      // mean over the batch
  double accuracy = 0;  // of the batch itself
  bool replayed = false;
  std::vector<TimeUs> busy_us;  // compute time per stage since its start
};

struct EvaluatedReport {
  int64_t version = 0;
  int64_t epoch = 0;
  double loss = 0;
  double accuracy = 0;
  int64_t rows = 0;
};

using Report = std::variant<ReconfiguredReport, DeviceJoinedReport, DeviceLostReport, WaitingReport,
                            BatchReport, EvaluatedReport>;

}  // namespace ft
