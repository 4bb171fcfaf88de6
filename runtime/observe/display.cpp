#include "runtime/observe/display.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/base/status.h"

namespace ft {
namespace {

constexpr TimeUs kBarIntervalUs = 100 * kMillisecondUs;
constexpr TimeUs kLineIntervalUs = 2 * kSecondUs;
constexpr int kBarCells = 20;

void clear_bar() {
  std::fputs("\r\x1b[K", stdout);
  std::fflush(stdout);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (whole >= 3600) return format("%lldh%02lldm", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return format("%lldm%02llds", whole / 60, whole % 60);
  return format("%llds", whole);
}

}  // namespace

Display::Display(ProgressMode mode) : mode_(mode) {
  if (mode_ == ProgressMode::kAuto) {
    mode_ = ::isatty(STDOUT_FILENO) != 0 ? ProgressMode::kBar : ProgressMode::kLines;
  }
  if (mode_ == ProgressMode::kBar) set_log_interrupt(clear_bar);
}

Display::~Display() { set_log_interrupt(nullptr); }

void Display::print_line(const std::string& line) {
  if (mode_ == ProgressMode::kBar) clear_bar();
  std::printf("%s\n", line.c_str());
  if (std::fflush(stdout) == 0 || output_lost_) return;
  output_lost_ = true;
  log_warning("standard output: cannot write: %s; the run goes on", std::strerror(errno));
}

std::string Display::started(const StartedInfo& info, TimeUs now) {
  info_ = info;
  throughput_ = Throughput(info.batch_size);
  started_us_ = now;
  const std::string json = stamped(event_json(info), wall_clock_s());
  if (mode_ == ProgressMode::kJson) {
    print_line(json);
  } else if (mode_ != ProgressMode::kNone) {
    print_line(format("training %s on %s", info.model.c_str(), info.data.c_str()));
    const bool parts = info.micro_batches > 1;
    print_line(format("%s%s, batch size %lld, %lld batches (%lld an epoch), run directory %s",
                      info.schedule.c_str(),
                      parts ? format(", %d micro-batches", info.micro_batches).c_str() : "",
                      static_cast<long long>(info.batch_size), static_cast<long long>(info.batches),
                      static_cast<long long>(info.batches_per_epoch), info.run_directory.c_str()));
    for (const std::string& note : info.notes) print_line(note);
  }
  return json;
}

std::string Display::report(const Report& report, TimeUs now) {
  if (std::holds_alternative<BatchReport>(report)) {
    rate_ = throughput_.finished(now);
    ++batches_done_;
    ++batches_since_;
  }
  const std::string json = stamped(event_json(report, rate_), wall_clock_s());
  if (mode_ == ProgressMode::kJson) {
    print_line(json);
  } else if (mode_ != ProgressMode::kNone) {
    show(report, now);
  }
  if (std::holds_alternative<ReconfiguredReport>(report)) {
    throughput_.restart();
    first_batch_us_ = now;
    batches_since_ = 0;
  }
  return json;
}

void Display::show(const Report& report, TimeUs now) {
  if (const auto* batch = std::get_if<BatchReport>(&report)) {
    show_batch(*batch, now);
  } else if (const auto* reconfigured = std::get_if<ReconfiguredReport>(&report)) {
    if (reconfigured->resume_batch < info_.batches) print_line(story_.of(*reconfigured));
  } else {
    print_line(story_.of(report));
  }
}

// Compute time of each stage as a share of the time since training began in this configuration.
std::string Display::busy_text(const BatchReport& report, TimeUs now) const {
  std::string text;
  const auto elapsed = static_cast<double>(std::max<TimeUs>(now - first_batch_us_, 1));
  for (const TimeUs busy : report.busy_us) {
    const double share = std::min(1.0, static_cast<double>(busy) / elapsed);
    text += format("%s%.0f", text.empty() ? "" : "/", 100 * share);
  }
  return text;
}

std::string Display::eta_text(int64_t batch, TimeUs now) const {
  if (batches_since_ == 0) return "?";
  const double each =
      static_cast<double>(now - first_batch_us_) / 1e6 / static_cast<double>(batches_since_);
  return duration_text(each * static_cast<double>(info_.batches - 1 - batch));
}

void Display::show_batch(const BatchReport& report, TimeUs now) {
  const bool last = report.batch == info_.batches - 1;
  const bool epoch_end = (report.batch + 1) % info_.batches_per_epoch == 0;
  if (now < next_line_ && !last && !epoch_end) return;
  next_line_ = now + (mode_ == ProgressMode::kBar ? kBarIntervalUs : kLineIntervalUs);
  const int64_t epoch = report.batch / info_.batches_per_epoch;
  const int64_t in_epoch = report.batch % info_.batches_per_epoch + 1;
  const std::string numbers =
      format("%.0f images/s, loss %.4f, %sbusy %s %%, ETA %s", rate_, report.loss,
             std::isnan(report.accuracy) ? "" : format("accuracy %.3f, ", report.accuracy).c_str(),
             busy_text(report, now).c_str(), eta_text(report.batch, now).c_str());
  if (mode_ == ProgressMode::kLines) {
    print_line(format("epoch %lld, batch %lld/%lld: %s", static_cast<long long>(epoch + 1),
                      static_cast<long long>(in_epoch),
                      static_cast<long long>(info_.batches_per_epoch), numbers.c_str()));
    return;
  }
  const int filled = static_cast<int>(in_epoch * kBarCells / info_.batches_per_epoch);
  const std::string bar = std::string(static_cast<size_t>(filled), '=') +
                          std::string(static_cast<size_t>(kBarCells - filled), '.');
  std::printf("\r\x1b[Kepoch %lld %lld/%lld [%s] %s", static_cast<long long>(epoch + 1),
              static_cast<long long>(in_epoch), static_cast<long long>(info_.batches_per_epoch),
              bar.c_str(), numbers.c_str());
  if (last || epoch_end) std::printf("\n");
  std::fflush(stdout);
}

double Display::images_per_second(TimeUs now) const {
  const auto elapsed = static_cast<double>(std::max<TimeUs>(now - started_us_, 1));
  return static_cast<double>(batches_done_ * info_.batch_size) * 1e6 / elapsed;
}

std::string Display::finished(const FinishedInfo& info) {
  const std::string json = stamped(event_json(info), wall_clock_s());
  if (mode_ == ProgressMode::kJson) {
    print_line(json);
  } else if (mode_ != ProgressMode::kNone) {
    const auto batches = static_cast<long long>(info.batches);
    std::string line = info.interrupted ? format("interrupted: %lld of %lld batches", batches,
                                                 static_cast<long long>(info_.batches))
                                        : format("done: %lld batches", batches);
    line += format(" in %.1f s, %.0f images/s", info.seconds, info.images_per_second);
    if (info.batches > 0) line += format(", loss %.4f", info.loss);
    if (info.evaluated && !std::isnan(info.accuracy))
      line += format(", test accuracy %.2f %%", 100 * info.accuracy);
    print_line(line);
    print_line("weights_sha256 " + info.weights_sha256);
    if (!info.exported.empty()) print_line("exported " + info.exported);
  }
  return json;
}

}  // namespace ft
