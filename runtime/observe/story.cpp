#include "runtime/observe/story.h"

#include <cmath>

#include "runtime/base/status.h"
#include "runtime/observe/plan_picture.h"

namespace ft {
namespace {

double seconds(TimeUs us) { return static_cast<double>(us) / 1e6; }

std::string ranges_text(const ReconfiguredReport& report) {
  std::string text;
  for (const DeviceReport& stage : report.stages) {
    text += format("%s%s [%d, %d)", text.empty() ? "" : ", ", stage.name.c_str(), stage.range.first,
                   stage.range.last);
  }
  return text;
}

// Those that took a noticeable time.
std::string phases_text(const Phases& phases) {
  const std::pair<const char*, TimeUs> parts[] = {{"detect", phases.detect_us},
                                                  {"pause", phases.pause_us},
                                                  {"choose", phases.choose_us},
                                                  {"move", phases.move_us},
                                                  {"resume", phases.resume_us}};
  std::string text;
  for (const auto& [name, us] : parts) {
    if (us < 10 * kMillisecondUs) continue;
    text += format("%s%s %.2f", text.empty() ? " (" : ", ", name, seconds(us));
  }
  return text.empty() ? text : text + ")";
}

}  // namespace

std::string loss_grown_text(const LossGrownReport& report) {
  constexpr double kFactorMax = 1e6;
  const std::string factor =
      report.factor > kFactorMax ? "more than a million" : format("%.0f", report.factor);
  return format("the loss has grown %s-fold since batch %lld: `--lr %s` is probably too high%s",
                factor.c_str(), static_cast<long long>(report.since + 1),
                report.learning_rate.c_str(),
                report.shuffled ? "" : ", or the samples are sorted (--shuffle on)");
}

std::string Story::of(const ReconfiguredReport& report) {
  std::string what;
  for (const std::string& change : changes_) what += (what.empty() ? "" : ", ") + change;
  changes_.clear();
  std::set<std::string> names;
  for (const DeviceReport& stage : report.stages) names.insert(stage.name);
  if (report.reason == "leave") {
    for (const std::string& name : names_) {
      if (names.count(name) == 0) what += (what.empty() ? "" : ", ") + name + " leaves";
    }
  }
  names_ = std::move(names);
  if (what.empty()) what = report.reason;
  std::string text = what + ": ";
  const size_t stages = report.stages.size();
  if (stages_ != 0) {
    text += format("%zu -> %zu stage%s, ", stages_, stages, stages == 1 ? "" : "s");
    if (report.moved_bytes > 0) {
      text += format("%.1f MiB moved, ", static_cast<double>(report.moved_bytes) / (1 << 20));
    }
    if (report.replayed > 0) {
      text += format("%lld batch%s replayed, ", static_cast<long long>(report.replayed),
                     report.replayed == 1 ? "" : "es");
    }
  }
  stages_ = stages;
  text += format("going on with batch %lld after %.1f s%s; layers %s",
                 static_cast<long long>(report.resume_batch + 1), seconds(report.phases.total_us()),
                 phases_text(report.phases).c_str(), ranges_text(report).c_str());
  if (!report.exact) text += "; members of different numerics: not exact";
  if (!report.plan.devices.empty()) {
    text += "\n" + plan_picture(report.plan);
    text.pop_back();
  }
  return text;
}

namespace {

struct Teller {
  std::vector<std::string>* changes;

  std::string operator()(const DeviceJoinedReport& joined) const {
    changes->push_back(joined.name + " joined");
    return format("%s joined: %d devices", joined.name.c_str(), joined.devices);
  }
  std::string operator()(const DeviceLostReport& lost) const {
    changes->push_back(lost.name + " lost");
    return format("%s lost (%s): %d device%s left", lost.name.c_str(), lost.cause.c_str(),
                  lost.devices, lost.devices == 1 ? "" : "s");
  }
  std::string operator()(const DeviceLeftReport& left) const {
    return format("%s has handed over what it held and left: %d device%s left", left.name.c_str(),
                  left.devices, left.devices == 1 ? "" : "s");
  }
  std::string operator()(const UnreachableReport& pair) const {
    changes->push_back(pair.from + " does not reach " + pair.to);
    return format("%s does not reach %s: they will not be neighbours", pair.from.c_str(),
                  pair.to.c_str());
  }
  std::string operator()(const ForeignRunReport& foreign) const {
    return format(
        "%s holds the state of an unfinished run, %s, and does not take part; to make it "
        "forget that run: --discard-run %s",
        foreign.name.c_str(), foreign.run.c_str(), foreign.run.c_str());
  }
  std::string operator()(const StrangerReport& stranger) const { return stranger.text; }
  std::string operator()(const DamagedReport& damaged) const {
    return format(
        "%s holds another copy of layer %d after batch %lld than its neighbour: one is "
        "damaged (memory, network), the cut is not used",
        damaged.name.c_str(), damaged.layer, static_cast<long long>(damaged.version + 1));
  }
  std::string operator()(const CutsReport& cuts) const {
    return format("a cut every %lld batches from now on: one costs %.1f ms, a batch takes %.1f ms",
                  static_cast<long long>(cuts.every), seconds(cuts.cut_us) * 1e3,
                  seconds(cuts.batch_us) * 1e3);
  }
  std::string operator()(const PredictionReport& prediction) const {
    return format("the plan promised %.0f images/s; measured: %.0f",
                  prediction.predicted_images_per_second, prediction.images_per_second);
  }
  std::string operator()(const NoRoomReport& room) const {
    return room.text + ": waiting for more devices";
  }
  std::string operator()(const StoringReport& storing) const {
    return format("%s; trying again for %.0f s, and everybody keeps what they hold of the run",
                  storing.text.c_str(), seconds(storing.us));
  }
  std::string operator()(const WaitingReport& waiting) const {
    return format(
        "nobody here holds layers %s after batch %lld: waiting for a device that does%s%s",
        waiting.layers.c_str(), static_cast<long long>(waiting.version + 1),
        waiting.holders.empty() ? "" : "; last seen on ", waiting.holders.c_str());
  }
  std::string operator()(const BegunAgainReport& again) const {
    return format(
        "nobody here holds layers %s after batch %lld or of a cut before it: training begins again "
        "with batch 1; to wait for more devices, resume with more --workers",
        again.layers.c_str(), static_cast<long long>(again.version + 1));
  }
  std::string operator()(const WaitingForRunReport& waiting) const {
    return format(
        "none of the stages here (%d) holds a run, and the run directory has none: waiting "
        "for one that does; to begin a run, leave out --resume",
        waiting.stages);
  }
  std::string operator()(const EvaluatedReport& evaluated) const {
    const std::string accuracy = std::isnan(evaluated.accuracy)
                                     ? ""
                                     : format("test accuracy %.2f %%, ", 100 * evaluated.accuracy);
    return format("epoch %lld: %stest loss %.4f (%lld samples)",
                  static_cast<long long>(evaluated.epoch + 1), accuracy.c_str(), evaluated.loss,
                  static_cast<long long>(evaluated.rows));
  }
  std::string operator()(const LossGrownReport& grown) const { return loss_grown_text(grown); }
  // Told elsewhere.
  std::string operator()(const BatchReport&) const { return ""; }
  std::string operator()(const ReconfiguredReport&) const { return ""; }
};

}  // namespace

std::string Story::of(const Report& report) { return std::visit(Teller{&changes_}, report); }

}  // namespace ft
