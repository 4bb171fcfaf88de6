#include "runtime/node/reactor.h"

#include <algorithm>
#include <cstdio>
#include <poll.h>

#include "runtime/base/log.h"
#include "runtime/pipeline/training_difference.h"

namespace ft {
namespace {

constexpr TimeUs kTickUs = 20 * kMillisecondUs;
constexpr TimeUs kFlushUs = 2 * kSecondUs;

std::vector<RecordEntry> to_entries(const net::Record& record) {
  std::vector<RecordEntry> entries;
  for (const net::RecordEntry& item : record.entries()) {
    RecordEntry entry{item.first_batch(), item.term(), {}};
    for (const net::LayerRange& range : item.ranges()) {
      entry.ranges.push_back({range.first(), range.last()});
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

// Waits for the wake descriptor alone: a run without a network.
bool wait_for_wake(TimeUs deadline, int fd) {
  pollfd item{fd, POLLIN, 0};
  const TimeUs left = std::max<TimeUs>(deadline - monotonic_now_us(), 0);
  return ::poll(&item, 1, static_cast<int>((left + 999) / 1000)) > 0;
}

}  // namespace

Reactor::Reactor(std::unique_ptr<Transport> transport, PeerId self, WakeFd* interrupt)
    : core_(std::move(transport), self, this), interrupt_(interrupt) {}

Reactor::~Reactor() = default;

void Reactor::add_stage(const StageOptions& options, const ComputeOptions& compute,
                        const std::string& central_endpoint) {
  core_.add_stage(options, central_endpoint);
  compute_ = std::make_unique<ComputeThread>(compute, &task_results_);
}

void Reactor::add_central(CentralParts parts) {
  parts_ = std::move(parts);
  core_.add_central(parts_.options);
  data_ = std::make_unique<DataThread>(parts_.dataset, parts_.batch_shape, parts_.directory,
                                       &data_results_);
}

void Reactor::narrate(StageStory story, bool json) {
  story_ = std::move(story);
  story_json_ = json;
}

void Reactor::remember(const ReportedProgress& progress) {
  if (progress.batch >= 0) last_loss_ = progress.loss;
  evaluated_ = progress.evaluated >= 0;
  last_evaluation_.version = progress.evaluated;
  last_evaluation_.epoch = progress.epoch;
  last_evaluation_.loss = progress.evaluation_loss;
  last_evaluation_.accuracy = progress.accuracy;
}

Status Reactor::run() {
  Transport* transport = core_.transport();
  while (!core_.is_finished()) {
    if (monotonic_now_us() >= next_tick_) {
      tick();
      continue;
    }
    const bool woken = transport ? transport->poll(next_tick_, wake_.fd(), &core_)
                                 : wait_for_wake(next_tick_, wake_.fd());
    if (woken) wake_.clear();
    drain_mailboxes();
  }
  if (story_ && core_.status().ok()) {
    const StageView view = core_.stage()->view();
    tell(interrupted_ ? story_->left(view) : story_->ended(view));
  }
  if (transport) transport->flush(monotonic_now_us() + kFlushUs, &core_);
  data_.reset();  // the run directory has one writer at a time
  return core_.status();
}

void Reactor::tick() {
  next_tick_ = monotonic_now_us() + kTickUs;
  if (!interrupted_) take_interrupt();
  if (service_ != nullptr) service_->tick(monotonic_now_us());
  const Central* central = core_.central();
  if (central != nullptr && parts_.children != nullptr && central->is_waiting()) {
    const Status alive = parts_.children->check();
    if (!alive.ok()) core_.deliver(Machine::kCentral, StopEvent{alive});
  }
  core_.tick();
  if (!story_) return;
  for (const StageNews& news : story_->look(core_.stage()->view(), monotonic_now_us())) tell(news);
}

void Reactor::tell(const StageNews& news) const {
  log_info("%s", news.text.c_str());
  if (!story_json_ || news.json.empty()) return;
  std::printf("%s\n", stamped(news.json, wall_clock_s()).c_str());
  std::fflush(stdout);
}

void Reactor::take_interrupt() {
  if (interrupt_ == nullptr) return;
  pollfd item{interrupt_->fd(), POLLIN, 0};
  if (::poll(&item, 1, 0) <= 0) return;
  interrupted_ = true;
  if (service_ != nullptr) service_->tell("STOPPING=1");
  const Central* central = core_.central();
  if (central == nullptr) {
    const StageView view = core_.stage()->view();
    if (view.joined && !view.central_silent)
      log_info("leaving: waiting until central has taken over what this stage holds");
  } else if (!central->is_waiting()) {
    log_info("interrupted: finishing the batches under way, then writing a checkpoint");
  }
  core_.deliver(central == nullptr ? Machine::kStage : Machine::kCentral, InterruptEvent{});
}

void Reactor::drain_mailboxes() {
  TaskResult task;
  while (task_results_.try_take(&task)) core_.deliver(Machine::kStage, std::move(task));
  DataResult result;
  while (data_results_.try_take(&result)) take_data(result);
}

void Reactor::take_data(const DataResult& result) {
  if (const auto* load = std::get_if<LoadResult>(&result)) {
    core_.deliver(Machine::kCentral, *load);
  } else if (const auto* journal = std::get_if<JournalResult>(&result)) {
    if (!journal->status.ok()) return core_.deliver(Machine::kCentral, StopEvent{journal->status});
    core_.deliver(Machine::kCentral, JournalWrittenEvent{journal->term});
  } else {
    const auto& checkpoint = std::get<CheckpointResult>(result);
    core_.deliver(Machine::kCentral, CheckpointWrittenEvent{checkpoint.version, checkpoint.status});
  }
}

// ---- Outside ----

TimeUs Reactor::now() { return monotonic_now_us(); }

// The directory of a run that only stages held begins with what defines the run, once they have
// agreed to it.
void Reactor::write_journal(const WriteJournal& write) {
  if (!parts_.directory->has_run() && write.record.entries_size() > 0) {
    const Status written = parts_.directory->write_run(parts_.describe(write.run));
    if (!written.ok()) return core_.deliver(Machine::kCentral, StopEvent{written});
  }
  data_->submit(JournalRequest{write.term, to_entries(write.record)});
}

void Reactor::write_checkpoint(const WriteCheckpoint& write,
                               std::vector<ConstBufferPtr> snapshots) {
  data_->submit(
      CheckpointRequest{{parts_.model_sha, write.version, write.term, std::move(snapshots)}});
}

void Reactor::tell(const Report& report) {
  if (const auto* batch = std::get_if<BatchReport>(&report)) last_loss_ = batch->loss;
  if (const auto* reconfigured = std::get_if<ReconfiguredReport>(&report)) {
    exact_ = exact_ && reconfigured->exact;
  }
  if (const auto* evaluated = std::get_if<EvaluatedReport>(&report)) {
    evaluated_ = true;
    last_evaluation_ = *evaluated;
  }
  const Status kept =
      parts_.directory->append_event(parts_.display->report(report, monotonic_now_us()));
  if (!kept.ok() && !events_lost_) {
    events_lost_ = true;
    log_warning("%s; events that come now are missing there", kept.message().c_str());
  }
  if (const auto* batch = std::get_if<BatchReport>(&report)) watch_loss(*batch);
}

void Reactor::watch_loss(const BatchReport& batch) {
  const std::optional<LossGrowth> grown = parts_.loss_watch.add(batch.batch, batch.loss);
  if (!grown) return;
  tell(LossGrownReport{grown->batch, grown->since, grown->factor,
                       number_text(parts_.options.training.optimizer().learning_rate()),
                       parts_.batch_shape.shuffle});
}

}  // namespace ft
