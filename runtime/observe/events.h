#pragma once

// Events as JSON, one object a line (DESIGN 7; docs/events.md has every field). One function makes
// them for standard output and for the run directory alike.

#include <string>

#include "runtime/pipeline/report.h"

namespace ft {

struct StartedInfo {
  std::string run;  // hex
  std::string model;
  std::string data;
  std::string schedule;  // as --schedule says it
  int micro_batches = 1;
  int64_t batch_size = 0;
  int64_t batches = 0;
  int64_t batches_per_epoch = 0;
  std::string run_directory;
  std::string central;             // endpoint; empty for solo
  std::vector<std::string> notes;  // what was decided for the user, a sentence each
};

struct BytesSent {
  int64_t activations = 0;
  int64_t gradients = 0;
  int64_t labels = 0;
  int64_t control = 0;
  int64_t replicas = 0;
  int64_t model = 0;
};

struct FinishedInfo {
  int64_t batches = 0;
  double images_per_second = 0;  // over the whole run
  double loss = 0;               // of the last batch
  bool evaluated = false;
  double accuracy = 0;  // of the last evaluation
  std::string weights_sha256;
  bool exact = true;
  double seconds = 0;
  BytesSent bytes;
  std::string exported;  // path, or empty
  bool interrupted = false;
};

// The event with its "time", seconds since 1970.
std::string stamped(std::string json, double time_s);

std::string event_json(const StartedInfo& info);
std::string event_json(const FinishedInfo& info);
// `images_per_second` is used by batch events only.
std::string event_json(const Report& report, double images_per_second);

}  // namespace ft
