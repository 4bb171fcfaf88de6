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
  int64_t memory_bytes = 0;  // of its process at most, by plan; 0: nobody can say
};

// How long each part of a reconfiguration took, attempts that were begun anew included.
struct Phases {
  TimeUs detect_us = 0;  // the last word of a lost device to the decision that it is lost
  TimeUs pause_us = 0;   // to the last inventory; a voluntary change drains the pipeline first
  TimeUs choose_us = 0;  // waiting for devices that hold what the others lack; else 0
  TimeUs move_us = 0;    // to the last device that is ready
  TimeUs resume_us = 0;  // to the synced journal
  TimeUs total_us() const { return detect_us + pause_us + choose_us + move_us + resume_us; }
};

// What a plan says of a device; those without layers come last, with an empty range.
struct PlannedDevice {
  std::string name;
  LayerRange range;
  double compute_us = 0;   // of a batch
  double transfer_us = 0;  // of a batch: inputs to it and gradients from it
  int64_t memory_bytes = 0;
};

struct PlanReport {
  std::vector<PlannedDevice> devices;  // in pipeline order; empty: there was no plan
  double batch_us = 0;
  double images_per_second = 0;
  std::string bottleneck;
  double images_per_second_before = 0;  // of the ranges before, by the same measure; 0: none
};

struct ReconfiguredReport {
  uint64_t term = 0;
  std::string reason;  // start, join, leave, repartition, failure, restart
  std::vector<DeviceReport> stages;
  int64_t resume_batch = 0;
  int64_t replayed = 0;     // batches that were finished and are trained again
  int64_t moved_bytes = 0;  // layers' state that devices fetched
  Phases phases;
  bool exact = true;
  PlanReport plan;
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

// It has handed over what it held and is gone.
struct DeviceLeftReport {
  std::string name;
  int devices = 0;
};

// Two members that both reach central do not reach each other: no longer neighbours.
struct UnreachableReport {
  std::string from;
  std::string to;
};

// A stage holds the state of another, unfinished run and does not take part in this one.
struct ForeignRunReport {
  std::string name;
  std::string run;  // hexadecimal
};

// Somebody was refused who is not allowed, or says what its key does not allow.
struct StrangerReport {
  std::string fingerprint;  // empty: it has proven no key
  std::string address;      // empty: not known
  std::string reason;
  int64_t count = 0;  // refusals of this one so far
  std::string text;   // all of that for a person
};

// Two copies of a layer's snapshot differ; this device told of the second. The cut is not used.
struct DamagedReport {
  std::string name;
  int layer = 0;
  int64_t version = 0;
};

// `--replicate-every auto` has measured what a cut costs.
struct CutsReport {
  int64_t every = 0;
  TimeUs cut_us = 0;    // of compute time, on the slowest stage
  TimeUs batch_us = 0;  // between two finished batches
};

// What a plan promised, and what came of it.
struct PredictionReport {
  double predicted_images_per_second = 0;
  double images_per_second = 0;
};

// The devices that are left have no room for the model: waiting for others.
struct NoRoomReport {
  std::string text;
};

// The last checkpoint cannot be written; that is tried again for so long.
struct StoringReport {
  std::string text;
  TimeUs us = 0;
};

// Nobody who is here holds these layers at the newest complete cut: waiting for those who do.
struct WaitingReport {
  int64_t version = 0;
  std::string layers;
  std::string holders;  // names of those who held them last, as far as known
};

// Batches were finished, but nobody who is here holds these layers at any cut: the run begins again
// from the model file.
struct BegunAgainReport {
  int64_t version = 0;  // the newest of which others are held
  std::string layers;
};

// Central is to go on with a run that its directory does not know, and none of these stages does.
struct WaitingForRunReport {
  int stages = 0;
};

// A batch has been stepped by every stage.
struct BatchReport {
  int64_t batch = 0;
  double loss = 0;      // mean over the batch
  double accuracy = 0;  // of the batch itself; not a number without classes
  bool replayed = false;
  std::vector<TimeUs> busy_us;  // compute time per stage since training resumed
};

// The loss has grown beyond use; told once. The shell sees it, not the machines.
struct LossGrownReport {
  int64_t batch = 0;
  int64_t since = 0;          // the batch with the best loss
  double factor = 0;          // over that
  std::string learning_rate;  // as --lr says it
  bool shuffled = true;
};

struct EvaluatedReport {
  int64_t version = 0;
  int64_t epoch = 0;
  double loss = 0;
  double accuracy = 0;
  int64_t rows = 0;
};

// Where a stage stands, for those who watch it.
struct StageView {
  bool joined = false;
  std::string run;  // 16 raw bytes
  bool training = false;
  LayerRange range;  // empty: it holds replicas only
  int layers = 0;    // of the model
  int64_t resume_batch = 0;
  int64_t version = -1;  // newest that it has made
  int64_t batches = 0;   // of the run
  bool central_silent = false;
};

using Report =
    std::variant<ReconfiguredReport, DeviceJoinedReport, DeviceLostReport, DeviceLeftReport,
                 UnreachableReport, ForeignRunReport, DamagedReport, CutsReport, PredictionReport,
                 NoRoomReport, WaitingReport, BegunAgainReport, WaitingForRunReport, BatchReport,
                 EvaluatedReport, StoringReport, StrangerReport, LossGrownReport>;

}  // namespace ft
