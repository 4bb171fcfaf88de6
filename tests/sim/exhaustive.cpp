#include "tests/sim/exhaustive.h"

namespace ft::sim {
namespace {

constexpr int kStages = 2;
// Pairs of crashes meet on a grid of that many moments.
constexpr int64_t kPairGrid = 12;

ClusterOptions small_world(bool sync) {
  ClusterOptions options;
  RunSpec& spec = options.spec;
  spec.stages = kStages;
  spec.layers = 3;
  spec.sync = sync;
  spec.batches = 5;
  spec.batches_per_epoch = 4;
  spec.evaluation_batches = 1;
  spec.cut_every = 2;
  spec.global_every = 2;
  spec.layer_bytes.assign(3, 100);
  return options;
}

Fault fault_at(int64_t note, FaultKind kind, int device, int other, TimeUs duration) {
  Fault fault;
  fault.when.kind = Trigger::Kind::kNote;
  fault.when.batch = note;
  fault.kind = kind;
  fault.device = device;
  fault.other = other;
  fault.duration = duration;
  return fault;
}

// Everything that may happen at one moment.
std::vector<Fault> faults_at(int64_t note) {
  std::vector<Fault> faults;
  const auto add = [&](FaultKind kind, int device, int other, TimeUs duration) {
    faults.push_back(fault_at(note, kind, device, other, duration));
  };
  for (int stage = 1; stage <= kStages; ++stage) {
    add(FaultKind::kCrash, stage, 0, kForGood);
    add(FaultKind::kCrash, stage, 0, 100 * kMillisecondUs);
    add(FaultKind::kPowerLoss, stage, 0, kForGood);
    add(FaultKind::kPause, stage, 0, 300 * kMillisecondUs);
    add(FaultKind::kPause, stage, 0, 2500 * kMillisecondUs);
    add(FaultKind::kLeave, stage, 0, kForGood);
    add(FaultKind::kCut, 0, stage, kForGood);
  }
  add(FaultKind::kCut, 1, 2, kForGood);
  add(FaultKind::kPause, 0, 0, 300 * kMillisecondUs);
  add(FaultKind::kPause, 0, 0, 2500 * kMillisecondUs);
  add(FaultKind::kCentralCrash, 0, 0, 300 * kMillisecondUs);
  add(FaultKind::kCentralPowerLoss, 0, 0, 300 * kMillisecondUs);
  add(FaultKind::kCentralWiped, 0, 0, 300 * kMillisecondUs);
  return faults;
}

std::vector<Fault> crashes_at(int64_t note) {
  return {fault_at(note, FaultKind::kCrash, 1, 0, 200 * kMillisecondUs),
          fault_at(note, FaultKind::kCrash, 2, 0, 200 * kMillisecondUs),
          fault_at(note, FaultKind::kCentralCrash, 0, 0, 200 * kMillisecondUs)};
}

}  // namespace

void run_exhaustive(int64_t step, const Seen& seen) {
  for (const bool sync : {true, false}) {
    ClusterOptions options = small_world(sync);
    const auto run = [&] { return seen(options, Cluster(options).run()); };
    const int64_t notes = Cluster(options).run().notes;
    for (int64_t note = 0; note < notes; note += step) {
      for (const Fault& fault : faults_at(note)) {
        options.faults = {fault};
        if (!run()) return;
      }
    }
    for (int64_t first = 0; first < notes; first += kPairGrid * step) {
      for (int64_t second = first; second < notes + notes / 2; second += kPairGrid * step) {
        for (const Fault& one : crashes_at(first)) {
          for (const Fault& two : crashes_at(second)) {
            options.faults = {one, two};
            if (!run()) return;
          }
        }
      }
    }
  }
}

}  // namespace ft::sim
