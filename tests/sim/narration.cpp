#include "tests/sim/narration.h"

namespace ft::sim {
namespace {

const char* pattern_of(const net::Control& message) {
  switch (message.body_case()) {
    case net::Control::kHello:
      return "<- Hello from %lld, term %lld";
    case net::Control::kRefuse:
      return "<- Refuse from %lld, term %lld";
    case net::Control::kPause:
      return "<- Pause from %lld, term %lld";
    case net::Control::kInventory:
      return "<- Inventory from %lld, term %lld";
    case net::Control::kAssign:
      return "<- Assign from %lld, term %lld, version %lld";
    case net::Control::kFetchSnapshot:
      return "<- FetchSnapshot from %lld, term %lld, layer %lld";
    case net::Control::kReady:
      return "<- Ready from %lld, term %lld";
    case net::Control::kResume:
      return "<- Resume from %lld, term %lld";
    case net::Control::kProgress:
      return "<- Progress from %lld, term %lld, version %lld";
    case net::Control::kBatchLoss:
      return "<- BatchLoss from %lld, term %lld, batch %lld";
    case net::Control::kSnapshotStored:
      return "<- SnapshotStored from %lld, term %lld, v %lld";
    case net::Control::kRelease:
      return "<- Release from %lld, term %lld, version %lld";
    case net::Control::kCollect:
      return "<- Collect from %lld, term %lld, version %lld";
    case net::Control::kFinish:
      return "<- Finish from %lld, term %lld";
    case net::Control::kFailure:
      return "<- Failure from %lld, term %lld";
    case net::Control::kHeartbeat:
      return "<- Heartbeat from %lld, term %lld";
    case net::Control::kUnreachable:
      return "<- Unreachable from %lld, term %lld, peer %lld";
    case net::Control::kLeave:
      return "<- Leave from %lld, term %lld";
    case net::Control::kHoldCut:
      return "<- HoldCut from %lld, term %lld, version %lld";
    case net::Control::kMeasure:
      return "<- Measure from %lld, term %lld";
    case net::Control::kMeasured:
      return "<- Measured from %lld, term %lld";
    default:
      return "<- control from %lld, term %lld";
  }
}

int64_t detail_of(const net::Control& message) {
  switch (message.body_case()) {
    case net::Control::kAssign:
      return message.assign().resume_version();
    case net::Control::kFetchSnapshot:
      return message.fetch_snapshot().snapshot().layer();
    case net::Control::kProgress:
      return message.progress().version();
    case net::Control::kBatchLoss:
      return message.batch_loss().batch();
    case net::Control::kSnapshotStored:
      return message.snapshot_stored().snapshot().version();
    case net::Control::kRelease:
      return message.release().version();
    case net::Control::kCollect:
      return message.collect().version();
    case net::Control::kUnreachable:
      return static_cast<int64_t>(message.unreachable().peer());
    case net::Control::kHoldCut:
      return message.hold_cut().version();
    default:
      return 0;
  }
}

}  // namespace

void narrate(World* world, const std::string& who, PeerId from, const net::Control& message) {
  world->note(who, pattern_of(message), static_cast<int64_t>(from % 1000),
              static_cast<int64_t>(message.term()), detail_of(message));
}

void narrate(World* world, const std::string& who, const Task& task) {
  switch (task.kind) {
    case TaskKind::kConfigure:
      return world->note(who, "task configure, term %lld, version %lld, stage %lld",
                         static_cast<int64_t>(task.term), task.version, task.stage);
    case TaskKind::kForward:
      return world->note(who, "task forward %lld.%lld, version %lld", task.batch, task.micro,
                         task.version);
    case TaskKind::kBackward:
      return world->note(who, "task backward %lld.%lld", task.batch, task.micro);
    case TaskKind::kStep:
      return world->note(who, "task step %lld", task.batch);
    case TaskKind::kEvaluate:
      return world->note(who, "task evaluate %lld, index %lld", task.version, task.batch);
    case TaskKind::kSnapshot:
      return world->note(who, "task snapshot v %lld, layer %lld", task.version, task.layer);
    case TaskKind::kMeasure:
      return world->note(who, "task measure, layer %lld", task.layer);
  }
}

}  // namespace ft::sim
