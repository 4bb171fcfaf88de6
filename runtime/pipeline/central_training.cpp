// Central while training: data in, losses and progress back, evaluation, the end.

#include <algorithm>
#include <limits>

#include "runtime/pipeline/central.h"

namespace ft {
namespace {

// Loads under way besides what the stages hold: enough to keep the data thread busy.
constexpr int kLoadsMax = 4;

// Not a number where there are no classes.
double accuracy_of(const net::Training& training, int64_t correct, int64_t rows) {
  if (training.loss() != net::kCrossEntropy) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(correct) / static_cast<double>(rows);
}

}  // namespace

// Keeps the pipeline full and one batch waiting at its door.
void Central::feed() {
  const auto stages = static_cast<int64_t>(stages_.size());
  const int64_t ahead = options_.training.schedule() == net::kSync ? 2 : stages + 1;
  const bool drains = !drain_reason_.empty();
  const int64_t end = drains ? next_batch_ + (next_micro_ > 0 ? 1 : 0) : batches_;
  while (next_batch_ < end && loads_ < kLoadsMax &&
         next_batch_ <= members_.at(first_stage()).version + ahead) {
    ++loads_;
    actions_.push_back(StartLoad{{LoadKind::kTrain, term_, next_batch_, next_micro_, 0}});
    if (++next_micro_ == micro_count(options_.training)) {
      next_micro_ = 0;
      ++next_batch_;
    }
  }
}

void Central::on_load(const LoadResult& result) {
  --loads_;
  const Load& load = result.load;
  if (load.term != term_ || phase_ != Phase::kTraining) return;
  const bool training = load.kind == LoadKind::kTrain;
  const BulkKind input = training ? BulkKind::kActivation : BulkKind::kEvaluation;
  const BulkKind labels = training ? BulkKind::kLabels : BulkKind::kEvaluationLabels;
  send_bulk(first_stage(),
            BulkName{input, load.batch, load.micro, options_.model_input, load.version},
            result.input);
  send_bulk(last_stage(), BulkName{labels, load.batch, load.micro, 0, load.version}, result.labels);
}

void Central::on_batch_loss(const net::BatchLoss& loss) {
  // Losses arrive in order: added as one device adds them.
  BatchSum& sum = sums_[loss.batch()];
  sum.loss_sum += loss.loss_sum();
  sum.rows += loss.rows();
  sum.correct += loss.correct();
  ++sum.micros;
  finish_batches();
}

void Central::on_progress(PeerId from, const net::Progress& progress) {
  Device& device = members_.at(from);
  note_speed(&device, from, progress);
  device.version = std::max(device.version, progress.version());
  device.busy_us = progress.busy_us();
  device.train_us = progress.train_us();
  device.train_cpu_us = progress.train_cpu_us();
  device.cpu_us = progress.cpu_us();
  device.snapshot_us = progress.snapshot_us();
  finish_batches();
}

void Central::finish_batches() {
  const int64_t stepped = slowest_version();
  while (finished_ < stepped) {
    const auto found = sums_.find(finished_ + 1);
    if (found == sums_.end() || found->second.micros < micro_count(options_.training)) return;
    const BatchSum& sum = found->second;
    ++finished_;
    BatchReport report;
    report.batch = finished_;
    report.loss = sum.loss_sum / static_cast<double>(sum.rows);
    report.accuracy = accuracy_of(options_.training, sum.correct, sum.rows);
    report.replayed = finished_ <= finished_ever_;
    for (const DeviceReport& stage : stages_) {
      report.busy_us.push_back(members_.at(stage.incarnation).train_us);
    }
    finished_ever_ = std::max(finished_ever_, finished_);
    sums_.erase(found);
    tell(std::move(report));
    if (is_evaluated(options_.training, finished_) && finished_ > evaluated_) {
      evaluations_.push_back(EvaluationSum{finished_, 0, 0, 0, 0, 0});
    }
    if (is_cut(options_.training, finished_)) review();
    if (options_.replicate_auto) adapt_cuts();
    check_prediction();
  }
  maybe_repartition();
}

// The new interval counts from batches that nobody has been given yet. A stage that hears of it too
// late misses a cut; the next one is whole again.
void Central::adapt_cuts() {
  TimeUs snapshot_us = 0;
  for (const DeviceReport& stage : stages_) {
    snapshot_us = std::max(snapshot_us, members_.at(stage.incarnation).snapshot_us);
  }
  const bool cut = is_cut(options_.training, finished_);
  const int64_t every = cut_interval_.finished(now_, cut, snapshot_us);
  if (every == 0) return;
  options_.training.set_replicate_every(every);
  net::Control message;
  message.mutable_cut_every()->set_from_version(next_batch_ + 1);
  message.mutable_cut_every()->set_every(every);
  send_all(message);
  tell(CutsReport{every, cut_interval_.cut_us(), cut_interval_.batch_us()});
}

void Central::feed_evaluation() {
  if (evaluations_.empty()) return;
  EvaluationSum& evaluation = evaluations_.front();
  const auto ahead = static_cast<int64_t>(2 * stages_.size());
  while (evaluation.next_load < options_.training.evaluation_batches() && loads_ < kLoadsMax &&
         evaluation.next_load < evaluation.done + ahead) {
    ++loads_;
    actions_.push_back(
        StartLoad{{LoadKind::kEvaluation, term_, evaluation.next_load, 0, evaluation.version}});
    ++evaluation.next_load;
  }
}

void Central::on_evaluation_loss(const net::EvaluationLoss& loss) {
  if (evaluations_.empty() || evaluations_.front().version != loss.version()) return;
  EvaluationSum& evaluation = evaluations_.front();
  evaluation.loss_sum += loss.loss_sum();
  evaluation.rows += loss.rows();
  evaluation.correct += loss.correct();
  if (++evaluation.done < options_.training.evaluation_batches()) return;
  EvaluatedReport report;
  report.version = evaluation.version;
  report.epoch = evaluation.version / options_.training.batches_per_epoch();
  report.loss = evaluation.loss_sum / static_cast<double>(evaluation.rows);
  report.accuracy = accuracy_of(options_.training, evaluation.correct, evaluation.rows);
  report.rows = evaluation.rows;
  tell(report);
  net::Control done;
  done.mutable_evaluation_done()->set_version(evaluation.version);
  send_all(done);
  evaluated_ = evaluation.version;
  evaluations_.pop_front();
  review();
}

void Central::maybe_collect() {
  if (finished_ < batches_ - 1 || !evaluations_.empty()) return;
  if (batches_ == 0) {  // what there is is in the model file
    return stop(Status(StatusCode::kInterrupted, "interrupted before the first batch was trained"));
  }
  drain_reason_.clear();
  phase_ = Phase::kCollecting;
  traffic_.Clear();
  for (auto& [peer, device] : members_.all()) device.answered = !is_stage(peer);
  net::Control message;
  message.mutable_collect()->set_version(finished_);
  send_all(message);
}

void Central::on_traffic(PeerId from, const net::Traffic& traffic) {
  Device& device = members_.at(from);
  if (phase_ != Phase::kCollecting || device.answered) return;
  device.answered = true;
  traffic_.set_activations(traffic_.activations() + traffic.activations());
  traffic_.set_gradients(traffic_.gradients() + traffic.gradients());
  traffic_.set_labels(traffic_.labels() + traffic.labels());
  traffic_.set_control(traffic_.control() + traffic.control());
  traffic_.set_replicas(traffic_.replicas() + traffic.replicas());
  traffic_.set_model(traffic_.model() + traffic.model());
  maybe_complete();
}

void Central::maybe_complete() {
  if (phase_ != Phase::kCollecting || !members_.all_answered()) return;
  if (!book_.is_whole_at(options_.self, finished_)) return;
  phase_ = Phase::kStoring;
  store_until_ = now_ + kStoreUs;
  if (checkpoints_.count(finished_) != 0) return complete();
  if (checkpoint_ < finished_) store();
}

void Central::store() {
  checkpoint_ = finished_;
  store_again_at_ = -1;
  actions_.push_back(WriteCheckpoint{finished_, book_.term_of(finished_)});
}

void Central::complete() {
  actions_.push_back(Complete{finished_, book_.term_of(finished_), traffic_});
  const bool ends_early = interrupted_ && finished_ < options_.training.batches() - 1;
  stop(ends_early ? Status(StatusCode::kInterrupted, "interrupted") : Status());
}

}  // namespace ft
