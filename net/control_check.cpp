#include "net/control_check.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "net/control.h"

namespace ft {
namespace {

// The first complaint wins; later ones are ignored.
class Checker {
 public:
  void require(bool holds, const char* what) {
    if (!holds && what_ == nullptr) what_ = what;
  }
  // No control characters: these strings end on terminals and in logs.
  void text(const std::string& value, size_t bytes_max, const char* what) {
    require(
        value.size() <= bytes_max &&
            std::none_of(value.begin(), value.end(),
                         [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }),
        what);
  }
  void count(int value, int value_max, const char* what) { require(value <= value_max, what); }
  void natural(int64_t value, const char* what) { require(value >= 0, what); }
  void version(int64_t value, const char* what) { require(value >= -1, what); }
  void digest(const std::string& value, const char* what) {
    require(value.empty() || value.size() == 32, what);
  }
  void range(const net::LayerRange& value, const char* what) {
    require(0 <= value.first() && value.first() <= value.last() && value.last() <= kLayersMax,
            what);
  }
  template <typename Floats>
  void times(const Floats& values, const char* what) {
    count(values.size(), kLayersMax, what);
    for (const float value : values) duration(value, what);
  }
  void duration(float us, const char* what) { require(us >= 0 && us <= kTimeUsMax, what); }
  void share(float value, const char* what) {
    require(std::isfinite(value) && value >= 0 && value <= 1, what);
  }
  void snapshot(const net::SnapshotName& value, const char* what) {
    require(0 <= value.layer() && value.layer() < kLayersMax && value.version() >= -1, what);
  }

  template <typename Texts>
  void choices(const Texts& values, const char* what) {
    count(values.size(), static_cast<int>(kRoleChoicesMax), what);
    for (const std::string& value : values) text(value, kRoleChoiceBytesMax, what);
  }

  void check(const net::Hello& hello);
  void check(const net::Pause& pause);
  void check(const net::Record& record);
  void check(const net::Inventory& inventory);
  void check(const net::Training& training);
  void check(const net::StageInfo& info);
  void check(const net::Assign& assign);
  void check(const net::BatchLoss& loss);
  void check(const net::EvaluationLoss& loss);
  void check(const net::Progress& progress);
  void check(const net::Heartbeat& heartbeat);
  void check(const net::Traffic& traffic);
  void check(const net::Measure& measure);
  void check(const net::Measured& measured);

  const char* what() const { return what_; }

 private:
  const char* what_ = nullptr;
};

void Checker::check(const net::Hello& hello) {
  text(hello.name(), kNameBytesMax, "Hello.name");
  text(hello.control_endpoint(), kEndpointBytesMax, "Hello.control_endpoint");
  text(hello.bulk_endpoint(), kEndpointBytesMax, "Hello.bulk_endpoint");
  digest(hello.model_sha256(), "Hello.model_sha256");
  text(hello.numerics(), kNumericsBytesMax, "Hello.numerics");
  natural(hello.memory_bytes(), "Hello.memory_bytes");
  natural(hello.threads(), "Hello.threads");
  require(hello.held_run().empty() || hello.held_run().size() == RunId{}.size(), "Hello.held_run");
}

void Checker::check(const net::Pause& pause) {
  text(pause.central_control_endpoint(), kEndpointBytesMax, "Pause.central_control_endpoint");
  text(pause.central_bulk_endpoint(), kEndpointBytesMax, "Pause.central_bulk_endpoint");
  text(pause.reason(), kReasonBytesMax, "Pause.reason");
}

void Checker::check(const net::Record& record) {
  count(record.entries_size(), kRecordEntriesMax, "Record.entries");
  for (const net::RecordEntry& entry : record.entries()) {
    natural(entry.first_batch(), "RecordEntry.first_batch");
    count(entry.ranges_size(), kDevicesMax, "RecordEntry.ranges");
    for (const net::LayerRange& item : entry.ranges()) range(item, "RecordEntry.ranges");
  }
}

void Checker::check(const net::Inventory& inventory) {
  count(inventory.snapshots_size(), kSnapshotsMax, "Inventory.snapshots");
  for (const net::SnapshotName& item : inventory.snapshots()) {
    snapshot(item, "Inventory.snapshots");
  }
  digest(inventory.model_sha256(), "Inventory.model_sha256");
  text(inventory.numerics(), kNumericsBytesMax, "Inventory.numerics");
  require(std::isfinite(inventory.capacity()) && inventory.capacity() >= 0, "Inventory.capacity");
  natural(inventory.memory_bytes(), "Inventory.memory_bytes");
  count(inventory.unreachable_size(), kDevicesMax, "Inventory.unreachable");
  check(inventory.record());
  if (inventory.has_training()) check(inventory.training());
  natural(inventory.checkpoint_batches(), "Inventory.checkpoint_batches");
  times(inventory.layer_us(), "Inventory.layer_us");
  share(inventory.cpu_share(), "Inventory.cpu_share");
  duration(inventory.pause_us(), "Inventory.pause_us");
  duration(inventory.byte_us(), "Inventory.byte_us");
}

void Checker::check(const net::Measure& measure) {
  check(measure.training());
  digest(measure.model_sha256(), "Measure.model_sha256");
  require(measure.model_bytes() >= 0 && measure.model_bytes() <= kTransferBytesMax,
          "Measure.model_bytes");
  require(measure.budget_us() >= 0 && measure.budget_us() <= kMeasureUsMax, "Measure.budget_us");
}

void Checker::check(const net::Measured& measured) {
  times(measured.layer_us(), "Measured.layer_us");
  require(measured.times() >= 0 && measured.times() <= kTimesMax, "Measured.times");
  share(measured.cpu_share(), "Measured.cpu_share");
  duration(measured.pause_us(), "Measured.pause_us");
  duration(measured.byte_us(), "Measured.byte_us");
}

// A stage divides by these numbers.
void Checker::check(const net::Training& training) {
  require(net::Schedule_IsValid(training.schedule()), "Training.schedule");
  require(net::Loss_IsValid(training.loss()), "Training.loss");
  require(net::Wire_IsValid(training.wire()), "Training.wire");
  const int64_t micros = training.micro_batches();
  require(micros >= 1 && micros <= kMicroBatchesMax, "Training.micro_batches");
  require(training.batch_size() >= 1 && training.batch_size() <= kBatchSizeMax,
          "Training.batch_size");
  require(what_ != nullptr || training.batch_size() % micros == 0,
          "Training.batch_size (not a multiple of micro_batches)");
  natural(training.aggregate_every(), "Training.aggregate_every");
  natural(training.batches(), "Training.batches");
  require(training.batches_per_epoch() >= 1, "Training.batches_per_epoch");
  natural(training.evaluation_batches(), "Training.evaluation_batches");
  natural(training.evaluation_rows(), "Training.evaluation_rows");
  natural(training.replicate_every(), "Training.replicate_every");
  natural(training.global_every(), "Training.global_every");
  const net::Optimizer& optimizer = training.optimizer();
  require(std::isfinite(optimizer.learning_rate()) && std::isfinite(optimizer.momentum()) &&
              std::isfinite(optimizer.weight_decay()),
          "Training.optimizer");
  text(training.data(), kDataSpecBytesMax, "Training.data");
  choices(training.freeze(), "Training.freeze");
  choices(training.train(), "Training.train");
  choices(training.tie(), "Training.tie");
  choices(training.untie(), "Training.untie");
}

void Checker::check(const net::Assign& assign) {
  check(assign.training());
  count(assign.stages_size(), kDevicesMax, "Assign.stages");
  count(assign.spares_size(), kDevicesMax, "Assign.spares");
  for (const net::StageInfo& stage : assign.stages()) {
    check(stage);
    require(stage.range().first() < stage.range().last(), "StageInfo.range (empty)");
  }
  for (const net::StageInfo& spare : assign.spares()) check(spare);
  version(assign.resume_version(), "Assign.resume_version");
  digest(assign.model_sha256(), "Assign.model_sha256");
  require(assign.model_bytes() >= 0 && assign.model_bytes() <= kTransferBytesMax,
          "Assign.model_bytes");
  count(assign.fetches_size(), kSnapshotsMax, "Assign.fetches");
  for (const net::Fetch& fetch : assign.fetches()) snapshot(fetch.snapshot(), "Assign.fetches");
  count(assign.layer_bytes_size(), kLayersMax, "Assign.layer_bytes");
  for (const int64_t bytes : assign.layer_bytes()) {
    require(bytes >= 0 && bytes <= kTransferBytesMax, "Assign.layer_bytes");
  }
  count(assign.replicate_size(), kLayersMax, "Assign.replicate");
  for (const int32_t layer : assign.replicate()) {
    require(0 <= layer && layer < kLayersMax, "Assign.replicate");
  }
  require(assign.heartbeat_us() > 0, "Assign.heartbeat_us");
  require(assign.failure_timeout_us() > 0, "Assign.failure_timeout_us");
}

void Checker::check(const net::StageInfo& info) {
  require(info.incarnation() != 0, "StageInfo.incarnation");
  text(info.name(), kNameBytesMax, "StageInfo.name");
  text(info.control_endpoint(), kEndpointBytesMax, "StageInfo.control_endpoint");
  text(info.bulk_endpoint(), kEndpointBytesMax, "StageInfo.bulk_endpoint");
  digest(info.public_key(), "StageInfo.public_key");
  range(info.range(), "StageInfo.range");
}

// loss_sum may be infinite or not a number: that training has diverged is news, not damage.
void Checker::check(const net::BatchLoss& loss) {
  natural(loss.batch(), "BatchLoss.batch");
  require(loss.micro() >= 0 && loss.micro() < kMicroBatchesMax, "BatchLoss.micro");
  require(0 <= loss.correct() && loss.correct() <= loss.rows(), "BatchLoss.correct");
}

void Checker::check(const net::EvaluationLoss& loss) {
  version(loss.version(), "EvaluationLoss.version");
  natural(loss.index(), "EvaluationLoss.index");
  require(0 <= loss.correct() && loss.correct() <= loss.rows(), "EvaluationLoss.correct");
}

void Checker::check(const net::Progress& progress) {
  version(progress.version(), "Progress.version");
  natural(progress.busy_us(), "Progress.busy_us");
  natural(progress.train_us(), "Progress.train_us");
  natural(progress.snapshot_us(), "Progress.snapshot_us");
  natural(progress.train_cpu_us(), "Progress.train_cpu_us");
  natural(progress.cpu_us(), "Progress.cpu_us");
  times(progress.layer_us(), "Progress.layer_us");
}

void Checker::check(const net::Heartbeat& heartbeat) {
  version(heartbeat.version(), "Heartbeat.version");
  natural(heartbeat.running_us(), "Heartbeat.running_us");
  natural(heartbeat.longest_us(), "Heartbeat.longest_us");
  natural(heartbeat.busy_us(), "Heartbeat.busy_us");
  natural(heartbeat.sent_us(), "Heartbeat.sent_us");
  natural(heartbeat.echo_us(), "Heartbeat.echo_us");
  natural(heartbeat.echo_age_us(), "Heartbeat.echo_age_us");
  count(heartbeat.links_size(), kDevicesMax, "Heartbeat.links");
  for (const net::LinkSpeed& link : heartbeat.links()) {
    for (const float value : {link.bytes_per_us(), link.round_trip_us()}) {
      require(std::isfinite(value) && value >= 0, "Heartbeat.links");
    }
  }
}

void Checker::check(const net::Traffic& traffic) {
  for (const int64_t bytes : {traffic.activations(), traffic.gradients(), traffic.labels(),
                              traffic.control(), traffic.replicas(), traffic.model()}) {
    natural(bytes, "Traffic");
  }
}

// No default: the compiler names a message that is not checked.
void check_message(const net::Control& message, Checker* checker) {
  switch (message.body_case()) {
    case net::Control::kHello:
      return checker->check(message.hello());
    case net::Control::kRefuse:
      return checker->text(message.refuse().reason(), kReasonBytesMax, "Refuse.reason");
    case net::Control::kPause:
      return checker->check(message.pause());
    case net::Control::kInventory:
      return checker->check(message.inventory());
    case net::Control::kAssign:
      return checker->check(message.assign());
    case net::Control::kFetchSnapshot:
      return checker->snapshot(message.fetch_snapshot().snapshot(), "FetchSnapshot.snapshot");
    case net::Control::kResume:
      return checker->check(message.resume().record());
    case net::Control::kBatchLoss:
      return checker->check(message.batch_loss());
    case net::Control::kProgress:
      return checker->check(message.progress());
    case net::Control::kEvaluationLoss:
      return checker->check(message.evaluation_loss());
    case net::Control::kRelease:
      checker->natural(message.release().checkpoint_batches(), "Release.checkpoint_batches");
      return checker->version(message.release().version(), "Release.version");
    case net::Control::kEvaluationDone:
      return checker->version(message.evaluation_done().version(), "EvaluationDone.version");
    case net::Control::kCollect:
      return checker->version(message.collect().version(), "Collect.version");
    case net::Control::kSnapshotStored:
      return checker->snapshot(message.snapshot_stored().snapshot(), "SnapshotStored.snapshot");
    case net::Control::kTraffic:
      return checker->check(message.traffic());
    case net::Control::kFailure:
      return checker->text(message.failure().reason(), kReasonBytesMax, "Failure.reason");
    case net::Control::kHeartbeat:
      return checker->check(message.heartbeat());
    case net::Control::kHoldCut:
      return checker->version(message.hold_cut().version(), "HoldCut.version");
    case net::Control::kCutEvery:
      checker->natural(message.cut_every().from_version(), "CutEvery.from_version");
      return checker->require(message.cut_every().every() >= 1, "CutEvery.every");
    case net::Control::kDiscard:
      return checker->require(message.discard().run().size() == RunId{}.size(), "Discard.run");
    case net::Control::kMeasure:
      return checker->check(message.measure());
    case net::Control::kMeasured:
      return checker->check(message.measured());
    case net::Control::kAck:
      return checker->require(message.ack().channel() == 0 || message.ack().channel() == 1,
                              "Ack.channel");
    case net::Control::kFetchModel:
    case net::Control::kReady:
    case net::Control::kFinish:
    case net::Control::kLeave:
    case net::Control::kUnreachable:
      return;
    case net::Control::BODY_NOT_SET:
      return checker->require(false, "no body");
  }
}

}  // namespace

Status check_body(const net::Control& message) {
  Checker checker;
  check_message(message, &checker);
  if (checker.what() == nullptr) return Status();
  return refused_error("control frame: out of bounds: %s", checker.what());
}

}  // namespace ft
