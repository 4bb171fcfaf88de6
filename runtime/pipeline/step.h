#pragma once

// The vocabulary between the pure state machines (stage.h, central.h) and their surroundings:
// events go in, actions come out. Tensors are opaque here: a ConstBufferPtr is only passed on.

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "net/bulk.h"
#include "net/message.pb.h"
#include "runtime/base/buffer.h"
#include "runtime/base/clock.h"
#include "runtime/base/status.h"
#include "runtime/pipeline/report.h"

namespace ft {

// ---- Work for the compute thread (stages) ----

enum class TaskKind : uint8_t {
  kConfigure,  // build the executor of a range; load the states of version `version`
  kForward,    // tensors: inputs; last stage: labels -> loss
  kBackward,   // tensors: received gradients (none on the last stage)
  kStep,       // make version `batch`
  kEvaluate,   // tensors: inputs; `version` is the cut, `batch` the evaluation batch
  kSnapshot,   // layer's state of `version`
  kMeasure,    // how long layers from `layer` on take on made-up data; kNoLayer: what the CPU does
};

constexpr int32_t kNoLayer = -1;

struct Task {
  TaskKind kind = TaskKind::kForward;
  uint64_t term = 0;
  int64_t batch = 0;
  int32_t micro = 0;
  int64_t version = 0;
  int64_t mean_from = 0;  // kStep: see schedule.h
  int32_t layer = 0;
  int64_t retain_oldest = 0;         // kStep: afterwards drop older versions ...
  std::vector<int64_t> retain_cuts;  // ... but these
  std::vector<ConstBufferPtr> tensors;
  ConstBufferPtr labels;
  net::Assign assign;    // kConfigure; kMeasure: training and model_sha256
  int32_t stage = -1;    // kConfigure: own place in assign.stages
  ConstBufferPtr model;  // kConfigure, kMeasure: the file's bytes, when they were fetched
  // kConfigure: of each layer of the range at `version`; null: the model file's own weights.
  std::vector<ConstBufferPtr> snapshots;
};

struct TaskResult {
  TaskKind kind = TaskKind::kForward;
  uint64_t term = 0;
  int64_t batch = 0;
  int32_t micro = 0;
  int64_t version = 0;
  int32_t layer = 0;
  Status status;
  std::vector<ConstBufferPtr> tensors;  // outputs, gradients to send, or one snapshot
  double loss_sum = 0;
  int64_t rows = 0;
  int64_t correct = 0;
  TimeUs busy_us = 0;
  TimeUs slept_us = 0;  // of it, for --slowdown
  // CPU time for each compute thread: of this task, and of the whole process so far.
  TimeUs task_cpu_us = 0;
  TimeUs process_cpu_us = 0;
  // kMeasure: of layers from `layer` on (runtime/exec/layer_timer.h), how many layers the model
  // has, and with the first of them what messages take (partition/speed.h's CpuMeasure); or what
  // was done in which CPU time, between which pauses (runtime/exec/cpu_probe.h). kStep: of the
  // range's layers in this batch, now and then (runtime/exec/layer_watch.h).
  std::vector<double> layer_us;
  int32_t layers = 0;
  double byte_us = 0;
  double work = 0;
  double cpu_us = 0;
  double pauses_us = 0;
  double pauses_us2 = 0;
  // kConfigure: ValueIds that cross the range's edges.
  std::vector<int32_t> inputs;
  std::vector<int32_t> outputs;
  std::vector<int32_t> received_gradients;
  std::vector<int32_t> sent_gradients;
  std::map<int32_t, int64_t> value_bytes;  // of all of these
  int64_t label_row_bytes = 0;
  std::vector<int64_t> layer_bytes;  // of every layer's snapshot
};

// ---- Work for the data thread (central) ----

enum class LoadKind : uint8_t { kTrain, kEvaluation };

struct Load {
  LoadKind kind = LoadKind::kTrain;
  uint64_t term = 0;
  int64_t batch = 0;  // or the evaluation batch
  int32_t micro = 0;
  int64_t version = 0;  // evaluation: the cut
};

struct LoadResult {
  Load load;
  ConstBufferPtr input;
  ConstBufferPtr labels;
};

// ---- Events ----

struct ControlEvent {
  PeerId from = 0;
  net::Control message;
};
struct BulkEvent {
  PeerId from = 0;
  BulkName name;
  ConstBufferPtr bytes;
};
struct DisconnectedEvent {
  PeerId peer = 0;
};
struct JournalWrittenEvent {
  uint64_t term = 0;
};
// Not written when the status says so: the one before is still there.
struct CheckpointWrittenEvent {
  int64_t version = -1;
  Status status = {};
};
// The user wants an orderly end: central finishes the batches under way; a stage hands over what it
// holds and leaves.
struct InterruptEvent {};
// Something that training needs has failed here: a disk, a child.
struct StopEvent {
  Status status;
};
// How fast central's own links are.
struct LinksEvent {
  std::vector<net::LinkSpeed> links;
};
struct TickEvent {};

using Event = std::variant<ControlEvent, BulkEvent, DisconnectedEvent, TaskResult, LoadResult,
                           JournalWrittenEvent, CheckpointWrittenEvent, InterruptEvent, StopEvent,
                           LinksEvent, TickEvent>;

// ---- Actions ----

// To the configured central. `held_run` and `held_term` as in net::Hello.
struct SayHello {
  std::string held_run;
  uint64_t held_term = 0;
};
struct ConnectPeer {
  PeerId peer = 0;
  std::string control_endpoint;
  std::string bulk_endpoint;
  std::string public_key;  // 32 bytes; empty without keys
};
struct DisconnectPeer {
  PeerId peer = 0;
};
struct SetTerm {
  RunId run{};
  uint64_t term = 0;
};
struct SendControl {
  PeerId to = 0;
  net::Control message;  // the body; the transport fills in the envelope
};
struct SendBulk {
  PeerId to = 0;
  BulkName name;
  ConstBufferPtr bytes;
};
struct StartTask {
  Task task;
};
struct StartLoad {
  Load load;
};
// Append (term, record) to the journal, synced; answered by JournalWrittenEvent.
struct WriteJournal {
  RunId run{};
  uint64_t term = 0;
  net::Record record;
};
// Central's own stage holds every layer of this cut: write it to disk, synced.
struct WriteCheckpoint {
  int64_t version = -1;
  uint64_t term = 0;
};
struct Tell {
  Report report;
};
// Central is done: its own stage holds every layer's snapshot of (version, term). And what all
// stages have sent.
struct Complete {
  int64_t version = -1;
  uint64_t term = 0;
  net::Traffic traffic;
};
// The process ends with this status.
struct Exit {
  Status status;
};

using Action =
    std::variant<SayHello, ConnectPeer, DisconnectPeer, SetTerm, SendControl, SendBulk, StartTask,
                 StartLoad, WriteJournal, WriteCheckpoint, Tell, Complete, Exit>;
using Actions = std::vector<Action>;

// For std::visit over a variant with one lambda per alternative.
template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <typename... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace ft
