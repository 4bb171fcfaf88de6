#include "tests/sim/pace_run.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "runtime/base/status.h"

namespace ft::sim {
namespace {

constexpr int64_t kRate = 1'000'000'000;
constexpr TimeUs kLatencyUs = 200;
constexpr int64_t kBehindBatches = 20;
constexpr int64_t kEndBatches = 8;  // the last ones find the pipeline emptying

template <typename T>
std::vector<std::pair<TimeUs, const T*>> all_of(const RunResult& result) {
  std::vector<std::pair<TimeUs, const T*>> found;
  for (const TimedReport& report : result.reports) {
    if (const auto* what = std::get_if<T>(&report.report)) found.emplace_back(report.at, what);
  }
  return found;
}

}  // namespace

PaceFigures run_pace(const PaceRun& run, uint64_t seed) {
  ClusterOptions options;
  options.seed = seed;
  options.heal = false;
  options.faults = run.faults;
  RunSpec& spec = options.spec;
  spec.pace = read_pace(FT_SOURCE_DIR "/tests/sim/mobilenetv2.txt");
  spec.pace.speeds = run.speeds;
  spec.pace.quotas = run.quotas;
  spec.pace.rates = run.rates;
  spec.pace.scatter = run.scatter;
  spec.stages = static_cast<int>(run.speeds.size()) - 1;
  spec.layers = static_cast<int>(spec.pace.layer_us.size());
  spec.dynamic = run.dynamic;
  spec.sync = run.micro_batches > 1;
  spec.micro_batches = run.micro_batches;
  for (double& us : spec.pace.layer_us) us /= run.micro_batches;
  for (CutSize& cut : spec.pace.cuts) {
    cut.forward_bytes /= run.micro_batches;
    cut.gradient_bytes /= run.micro_batches;
  }
  spec.batches = spec.batches_per_epoch = run.batches;
  spec.cut_every = 50;
  spec.latency_us = kLatencyUs;
  spec.bytes_per_s = kRate;
  for (const LayerSize& size : spec.pace.sizes) {
    spec.layer_bytes.push_back(std::max(size.state_bytes, kStateBytes));
  }
  PaceFigures figures;
  const double alone_us =
      std::accumulate(spec.pace.layer_us.begin(), spec.pace.layer_us.end(), 0.0);
  double speed = 0;
  for (size_t i = 0; i < run.speeds.size(); ++i) {
    speed += run.speeds[i] * std::min(spec.pace.quota(static_cast<int>(i)).share, 1.0);
  }
  figures.ideal_us = run.micro_batches * alone_us / speed;
  figures.result = Cluster(options).run();
  figures.batch_at.assign(static_cast<size_t>(run.batches), 0);
  for (const auto& [at, batch] : all_of<BatchReport>(figures.result)) {
    figures.batch_at[static_cast<size_t>(batch->batch)] = at;
  }
  return figures;
}

PacePart PaceFigures::part(int64_t first, int64_t last) const {
  const auto at = [&](int64_t batch) {
    return static_cast<double>(batch_at[static_cast<size_t>(batch)]);
  };
  PacePart part;
  part.batch_us = (at(last) - at(first)) / static_cast<double>(last - first);
  part.of_ideal = ideal_us / part.batch_us;
  return part;
}

PacePart PaceFigures::steady() const {
  const auto configured = all_of<ReconfiguredReport>(result);
  const int64_t first = configured.empty() ? 0 : configured.back().second->resume_batch;
  const int64_t last = static_cast<int64_t>(batch_at.size()) - kEndBatches;
  return part(std::min(first + kBehindBatches, last - 1), last);
}

double PaceFigures::promised_over_steady() const {
  double batch_us = 0;
  for (const auto& [at, report] : all_of<ReconfiguredReport>(result)) {
    batch_us = report->plan.batch_us;
  }
  return batch_us > 0 ? steady().batch_us / batch_us : 0;
}

std::vector<double> PaceFigures::reconfigured_s(const std::string& reason) const {
  std::vector<double> times;
  const auto configured = all_of<ReconfiguredReport>(result);
  for (const auto& [at, report] : configured) {
    if (report->reason != reason) continue;
    times.push_back(static_cast<double>(at - configured[0].first) / kSecondUs);
  }
  return times;
}

std::string PaceFigures::story() const {
  std::string text;
  const auto configured = all_of<ReconfiguredReport>(result);
  for (const auto& [at, report] : configured) {
    const double seconds = static_cast<double>(at - configured[0].first) / kSecondUs;
    text += format("  %6.1f s, batch %lld, %s:", seconds,
                   static_cast<long long>(report->resume_batch), report->reason.c_str());
    for (const DeviceReport& stage : report->stages) {
      text += format(" %s [%d, %d)", stage.name.c_str(), stage.range.first, stage.range.last);
    }
    if (report->plan.batch_us > 0) {
      text += format("; %.1f ms promised, limit: %s", report->plan.batch_us / 1000,
                     report->plan.bottleneck.c_str());
    }
    text += "\n";
  }
  return text;
}

std::vector<PaceRun> pace_runs() {
  std::vector<PaceRun> runs;
  const auto add = [&](std::vector<double> speeds, const std::string& more = "") {
    PaceRun run;
    for (const double speed : speeds) run.name += format("%g ", speed);
    run.name += more;
    run.speeds = std::move(speeds);
    runs.push_back(run);
    return &runs.back();
  };
  const std::vector<std::vector<double>> clusters = {
      {1, 1, 1},      {1, 1, 0.1},    {1, 1, 1, 1, 0.1}, {1, 0.5, 0.25}, {1, 0.25, 0.5},
      {0.5, 1, 0.25}, {0.5, 0.25, 1}, {0.25, 1, 0.5},    {0.25, 0.5, 1}};
  for (const std::vector<double>& speeds : clusters) add(speeds);
  for (size_t i = 0; i < 4; ++i) add(clusters[i], "+-10 %")->scatter = 0.1;
  for (size_t i = 0; i < 3; ++i) {
    PaceRun* even = add(clusters[i], "even");
    even->dynamic = false;
    even->batches = 100;
  }
  for (size_t i = 0; i < 4; ++i) {
    PaceRun* sync = add(clusters[i], "sync, 8");
    sync->micro_batches = 8;
    sync->batches = 200;
  }
  for (const double speed : {1.0, 0.5, 0.2}) {  // the slower they are, the more the third is worth
    PaceRun* link = add({speed, speed, speed}, "2 MB/s");
    link->rates = {kRate, 2'000'000};
    link->batches = 400;
  }
  for (const TimeUs period : {10 * kMillisecondUs, 100 * kMillisecondUs}) {
    PaceRun* quota =
        add({1, 1, 1}, format("quotas, %lld ms", static_cast<long long>(period / kMillisecondUs)));
    quota->quotas = {{0.45, period, 0}, {0.45, period, period / 3}, {0.045, period, period / 2}};
    quota->scatter = 0.1;
    quota->batches = 1000;
  }
  PaceRun* slows = add(clusters[0], "a tenth, 20 s");
  slows->batches = 1500;
  Fault fault;
  fault.when.kind = Trigger::Kind::kBatch;
  fault.when.batch = 500;
  fault.kind = FaultKind::kSlowDevice;
  fault.factor = 10;
  fault.duration = 20 * kSecondUs;
  slows->faults = {fault};
  return runs;
}

bool print_paces() {
  bool clean = true;
  std::printf("%-26s %10s %13s %20s\n", "speeds", "batch", "of the ideal", "promised / measured");
  for (const PaceRun& run : pace_runs()) {
    const PaceFigures figures = run_pace(run);
    const PacePart steady = figures.steady();
    std::printf("%-26s %7.1f ms %13.3f %20.3f\n%s", run.name.c_str(), steady.batch_us / 1000,
                steady.of_ideal, figures.promised_over_steady(), figures.story().c_str());
    if (figures.result.violation.empty()) continue;
    std::printf("violation: %s\n", figures.result.violation.c_str());
    clean = false;
  }
  return clean;
}

}  // namespace ft::sim
