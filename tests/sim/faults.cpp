#include "tests/sim/faults.h"

namespace ft::sim {
namespace {

struct Weight {
  FaultKind kind;
  int weight;
};
constexpr Weight kWeights[] = {{FaultKind::kCrash, 16},
                               {FaultKind::kPowerLoss, 8},
                               {FaultKind::kPause, 14},
                               {FaultKind::kPartition, 8},
                               {FaultKind::kOneWay, 5},
                               {FaultKind::kCut, 6},
                               {FaultKind::kSlowLink, 4},
                               {FaultKind::kDuplicate, 5},
                               {FaultKind::kSlowDevice, 3},
                               {FaultKind::kLeave, 6},
                               {FaultKind::kJoin, 6},
                               {FaultKind::kCentralCrash, 9},
                               {FaultKind::kCentralWiped, 4},
                               {FaultKind::kCentralPowerLoss, 4},
                               {FaultKind::kTwoCentrals, 3},
                               {FaultKind::kTwoCentralsCopy, 3},
                               {FaultKind::kCentralInterrupt, 5}};

FaultKind draw_kind(Dice* dice) {
  int total = 0;
  for (const Weight& item : kWeights) total += item.weight;
  int64_t left = dice->below(total);
  for (const Weight& item : kWeights) {
    left -= item.weight;
    if (left < 0) return item.kind;
  }
  return FaultKind::kCrash;
}

Trigger draw_trigger(Dice* dice, const RunSpec& spec, bool first) {
  Trigger when;
  const int64_t choice = dice->below(100);
  if (choice < (first ? 75 : 35)) {
    when.kind = Trigger::Kind::kBatch;
    when.batch = dice->below(spec.batches);
    when.delay = dice->below(3 * spec.task_us);
  } else if (choice < (first ? 85 : 75)) {
    when.kind = Trigger::Kind::kMoment;
    when.moment = static_cast<Moment>(dice->below(5));
    when.delay = dice->chance(50) ? 0 : dice->below(60 * kMillisecondUs);
  } else {
    when.delay = dice->below(dice->chance(50) ? 200 * kMillisecondUs : 3 * kSecondUs);
  }
  return when;
}

TimeUs draw_duration(Dice* dice) {
  switch (dice->below(4)) {
    case 0:
      return dice->below(300 * kMillisecondUs);
    case 1:
      return dice->below(2 * kSecondUs);
    case 2:
      return dice->below(8 * kSecondUs);
    default:
      return kForGood;
  }
}

}  // namespace

const char* name_of(FaultKind kind) {
  static constexpr const char* kNames[kFaultKinds] = {"crash",
                                                      "power-loss",
                                                      "pause",
                                                      "partition",
                                                      "one-way",
                                                      "cut",
                                                      "slow-link",
                                                      "duplicate",
                                                      "slow-device",
                                                      "leave",
                                                      "join",
                                                      "central-crash",
                                                      "central-power-loss",
                                                      "central-wiped",
                                                      "central-interrupt",
                                                      "two-centrals",
                                                      "two-centrals-copy",
                                                      "restart",
                                                      "heal"};
  return kNames[static_cast<size_t>(kind)];
}

std::vector<Fault> draw_faults(Dice* dice, const RunSpec& spec) {
  std::vector<Fault> faults;
  if (dice->chance(8)) return faults;
  const int64_t count = dice->between(1, dice->chance(30) ? 8 : 4);
  for (int64_t i = 0; i < count; ++i) {
    Fault fault;
    fault.when = draw_trigger(dice, spec, i == 0);
    fault.kind = draw_kind(dice);
    fault.device = static_cast<int>(dice->between(1, spec.stages));
    if (fault.kind == FaultKind::kPause && dice->chance(25)) fault.device = 0;
    do {
      fault.other = static_cast<int>(dice->between(0, spec.stages));
    } while (fault.other == fault.device);
    fault.duration = draw_duration(dice);
    faults.push_back(fault);
  }
  return faults;
}

}  // namespace ft::sim
