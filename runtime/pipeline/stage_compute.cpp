// Stage while training: tensors in, tasks out, results on.

#include <algorithm>

#include "runtime/pipeline/stage.h"

namespace ft {
namespace {

// The tensors in the order of `ids`, or empty when one has not arrived.
std::vector<ConstBufferPtr> collect(const std::map<int32_t, ConstBufferPtr>& arrived,
                                    const std::vector<int32_t>& ids) {
  std::vector<ConstBufferPtr> tensors;
  for (const int32_t id : ids) {
    const auto found = arrived.find(id);
    if (found == arrived.end()) return {};
    tensors.push_back(found->second);
  }
  return tensors;
}

bool contains(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

PeerId Stage::previous() const {
  return place_.stage == 0 ? central_ : assign_.stages(place_.stage - 1).incarnation();
}

PeerId Stage::next() const {
  return is_last() ? 0 : assign_.stages(place_.stage + 1).incarnation();
}

int64_t Stage::tensor_bytes(const std::vector<int32_t>& ids, int32_t id) const {
  return contains(ids, id) ? value_bytes_.at(id) : -1;
}

// The last evaluation batch may be incomplete: its labels say how many rows count.
int64_t Stage::evaluation_label_bytes(int64_t index) const {
  const int64_t rows =
      std::min(micro_rows(), assign_.training().evaluation_rows() - index * micro_rows());
  return rows * label_row_bytes_;
}

int64_t Stage::expected_bytes(PeerId from, const BulkName& name) const {
  if (name.kind == BulkKind::kModel) {
    return model_wanted_ && from == model_from_ ? model_bytes_ : -1;
  }
  if (name.kind == BulkKind::kSnapshot) return snapshot_bytes(from, name);
  if ((phase_ != Phase::kReady && phase_ != Phase::kTraining) || !has_range()) return -1;
  // 1F1B keeps every neighbour within S batches of our own; one more is on its way to us.
  const net::Training& training = assign_.training();
  const bool near = name.batch > version_ && name.batch <= version_ + place_.stages + 2 &&
                    name.batch < training.batches() && name.micro >= 0 &&
                    name.micro < micro_count(training);
  const bool evaluated = is_evaluated(training, name.version) && name.batch >= 0 &&
                         name.batch < training.evaluation_batches();
  switch (name.kind) {
    case BulkKind::kActivation:
      return near && from == previous() ? tensor_bytes(inputs_, name.item) : -1;
    case BulkKind::kGradient:
      return near && from == next() ? tensor_bytes(received_gradients_, name.item) : -1;
    case BulkKind::kLabels:
      return near && is_last() && from == central_ ? micro_rows() * label_row_bytes_ : -1;
    case BulkKind::kEvaluation:
      return evaluated && from == previous() ? tensor_bytes(inputs_, name.item) : -1;
    case BulkKind::kEvaluationLabels:
      return evaluated && is_last() && from == central_ ? evaluation_label_bytes(name.batch) : -1;
    default:
      return -1;
  }
}

void Stage::on_bulk(const BulkEvent& event) {
  const BulkName& name = event.name;
  peers_.heard(event.from, now_);
  if (event.from == central_) central_heard_ = now_;
  if (expected_bytes(event.from, name) != static_cast<int64_t>(event.bytes->size())) return;
  const Micro micro{name.batch, name.micro};
  switch (name.kind) {
    case BulkKind::kModel:
      model_ = event.bytes;
      model_wanted_ = false;
      configure_wanted_ = phase_ == Phase::kMoving && has_all();
      break;
    case BulkKind::kSnapshot:
      on_snapshot_arrived(event);
      break;
    case BulkKind::kActivation:
      arrived_inputs_[micro][name.item] = event.bytes;
      break;
    case BulkKind::kGradient:
      arrived_gradients_[micro][name.item] = event.bytes;
      break;
    case BulkKind::kLabels:
      arrived_labels_[micro] = event.bytes;
      break;
    case BulkKind::kEvaluation:
      evaluations_[{name.version, name.batch}].inputs[name.item] = event.bytes;
      break;
    case BulkKind::kEvaluationLabels:
      evaluations_[{name.version, name.batch}].labels = event.bytes;
      break;
    default:
      break;
  }
}

// ---- Compute ----

Stage::Micro Stage::after(Micro micro) const {
  if (micro.second + 1 < micro_count(assign_.training())) return {micro.first, micro.second + 1};
  return {micro.first + 1, 0};
}

void Stage::start(Task task) {
  task.term = term_;
  busy_ = true;
  task_since_ = now_;
  actions_.push_back(StartTask{std::move(task)});
}

// 1F1B: a forward pass begins as soon as in_flight_max allows it, before a backward pass that could
// begin as well. The other way round the next stage starves until this one's backward pass and step
// are done, then gets two batches at once, and passes the pattern on: three equal devices got 0.92
// of the ideal instead of 0.97 (ftsim --pace), and fewer the more they were disturbed.
// An evaluation waits until no backward pass can begin: at the last stage it works where the stash
// of the one batch in flight lies. Forward passes wait for the evaluation.
void Stage::dispatch() {
  if (busy_) return;
  if (configure_wanted_) {
    configure();
    return;
  }
  const bool trains = phase_ == Phase::kTraining && has_range();
  if (trains && (start_snapshot() || start_step() || (evaluations_.empty() && start_forward()) ||
                 start_backward() || start_evaluation() || start_forward())) {
    return;
  }
  (void)start_measure();
}

bool Stage::start_snapshot() {
  if (snapshots_due_.empty()) return false;
  Task task;
  task.kind = TaskKind::kSnapshot;
  task.layer = snapshots_due_.front().layer;
  task.version = snapshots_due_.front().version;
  start(std::move(task));
  return true;
}

bool Stage::start_step() {
  if (!step_due_) return false;
  Task task;
  task.kind = TaskKind::kStep;
  task.batch = version_ + 1;
  task.mean_from = mean_from(assign_.training(), place_, task.batch);
  task.retain_oldest = oldest_needed(assign_.training(), place_, task.batch);
  task.retain_cuts = cuts_kept();
  start(std::move(task));
  return true;
}

bool Stage::start_backward() {
  Task task;
  if (next_backward_ >= next_forward_) return false;
  if (!is_last()) {
    const auto arrived = arrived_gradients_.find(next_backward_);
    if (arrived == arrived_gradients_.end()) return false;
    task.tensors = collect(arrived->second, received_gradients_);
    if (task.tensors.empty()) return false;
    arrived_gradients_.erase(arrived);
    if (received_gradients_.front() == kNoGradient) task.tensors.clear();
  }
  task.kind = TaskKind::kBackward;
  task.batch = next_backward_.first;
  task.micro = next_backward_.second;
  start(std::move(task));
  return true;
}

bool Stage::start_forward() {
  const net::Training& training = assign_.training();
  if (next_forward_.first >= training.batches() || in_flight_ >= in_flight_max(place_)) {
    return false;
  }
  Task task;
  task.version = version_used(training, place_, next_forward_.first);
  if (task.version > version_) return false;
  const auto arrived = arrived_inputs_.find(next_forward_);
  if (arrived == arrived_inputs_.end()) return false;
  task.tensors = collect(arrived->second, inputs_);
  if (task.tensors.empty()) return false;
  if (is_last()) {
    const auto labels = arrived_labels_.find(next_forward_);
    if (labels == arrived_labels_.end()) return false;
    task.labels = labels->second;
    arrived_labels_.erase(labels);
  }
  arrived_inputs_.erase(arrived);
  task.kind = TaskKind::kForward;
  task.batch = next_forward_.first;
  task.micro = next_forward_.second;
  start(std::move(task));
  return true;
}

bool Stage::start_evaluation() {
  if (evaluations_.empty()) return false;
  const auto& [key, evaluation] = *evaluations_.begin();
  if (key.first > version_ || (is_last() && evaluation.labels == nullptr)) return false;
  Task task;
  task.tensors = collect(evaluation.inputs, inputs_);
  if (task.tensors.empty()) return false;
  task.kind = TaskKind::kEvaluate;
  task.version = key.first;
  task.batch = key.second;
  task.labels = evaluation.labels;
  evaluations_.erase(evaluations_.begin());
  start(std::move(task));
  return true;
}

// Cuts that an evaluation still reads. Those before the version this term resumed from are done.
std::vector<int64_t> Stage::cuts_kept() const {
  std::vector<int64_t> cuts;
  const net::Training& training = assign_.training();
  if (!training.evaluate()) return cuts;
  const int64_t every = training.batches_per_epoch();
  const int64_t from = std::max<int64_t>(place_.resumed_version, 0);
  for (int64_t cut = (from / every + 1) * every - 1; cut <= version_ + 1; cut += every) {
    if (cut > evaluated_) cuts.push_back(cut);
  }
  return cuts;
}

// ---- Results ----

void Stage::on_task(const TaskResult& result) {
  busy_ = false;
  busy_us_ += result.busy_us;
  awake_us_ += result.busy_us - result.slept_us;
  longest_us_ = std::max(longest_us_, now_ - task_since_);
  ++tasks_done_;
  if (result.term != term_ || phase_ == Phase::kJoining) return;
  if (!result.status.ok()) {
    fail(result.status);
    return;
  }
  const bool trains = result.kind == TaskKind::kForward || result.kind == TaskKind::kBackward ||
                      result.kind == TaskKind::kStep;
  if (trains) train_us_ += result.busy_us;
  if (trains) train_cpu_us_ += result.task_cpu_us;
  if (result.kind == TaskKind::kMeasure) measure_cpu_us_ += result.task_cpu_us;
  switch (result.kind) {
    case TaskKind::kConfigure:
      on_configured(result);
      break;
    case TaskKind::kForward:
      on_forward(result);
      break;
    case TaskKind::kBackward:
      send_gradients(result);
      --in_flight_;
      next_backward_ = after(next_backward_);
      step_due_ = next_backward_.second == 0;
      break;
    case TaskKind::kStep:
      on_step(result);
      break;
    case TaskKind::kEvaluate:
      on_evaluated(result);
      break;
    case TaskKind::kSnapshot:
      on_snapshot(result);
      break;
    case TaskKind::kMeasure:
      on_measured(result);
      break;
  }
}

void Stage::send_gradients(const TaskResult& result) {
  if (place_.stage == 0) return;
  std::vector<ConstBufferPtr> tensors = result.tensors;
  if (tensors.empty()) {
    BufferPtr nothing = make_buffer(kNoGradientBytes);
    std::fill_n(nothing->data(), nothing->size(), std::byte{0});
    tensors.push_back(std::move(nothing));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const BulkName name{BulkKind::kGradient, result.batch, result.micro, sent_gradients_[i]};
    actions_.push_back(SendBulk{previous(), name, tensors[i]});
  }
}

void Stage::on_forward(const TaskResult& result) {
  ++in_flight_;
  next_forward_ = after(next_forward_);
  if (is_last()) {
    net::Control message;
    net::BatchLoss* loss = message.mutable_batch_loss();
    loss->set_batch(result.batch);
    loss->set_micro(result.micro);
    loss->set_loss_sum(result.loss_sum);
    loss->set_rows(result.rows);
    loss->set_correct(result.correct);
    send(central_, std::move(message));
    return;
  }
  for (size_t i = 0; i < result.tensors.size(); ++i) {
    const BulkName name{BulkKind::kActivation, result.batch, result.micro, outputs_[i]};
    actions_.push_back(SendBulk{next(), name, result.tensors[i]});
  }
}

void Stage::on_step(const TaskResult& result) {
  step_due_ = false;
  version_ = result.batch;
  net::Control message;
  net::Progress* progress = message.mutable_progress();
  progress->set_version(version_);
  progress->set_busy_us(busy_us_);
  progress->set_train_us(train_us_);
  progress->set_snapshot_us(snapshot_us_);
  progress->set_train_cpu_us(train_cpu_us_);
  progress->set_cpu_us(std::max<TimeUs>(result.process_cpu_us - measure_cpu_us_, 0));
  for (const double us : result.layer_us) progress->add_layer_us(static_cast<float>(us));
  send(central_, std::move(message));
  if (cut_every_ > 0 && version_ >= cut_from_) {
    assign_.mutable_training()->set_replicate_every(cut_every_);
    cut_every_ = 0;
  }
  if (!is_cut(assign_.training(), version_)) return;
  take_cut(is_global_cut(assign_.training(), version_) ? Reach::kCentral : Reach::kSuccessor);
}

void Stage::on_evaluated(const TaskResult& result) {
  if (is_last()) {
    net::Control message;
    net::EvaluationLoss* loss = message.mutable_evaluation_loss();
    loss->set_version(result.version);
    loss->set_index(result.batch);
    loss->set_loss_sum(result.loss_sum);
    loss->set_rows(result.rows);
    loss->set_correct(result.correct);
    send(central_, std::move(message));
    return;
  }
  for (size_t i = 0; i < result.tensors.size(); ++i) {
    const BulkName name{BulkKind::kEvaluation, result.batch, 0, outputs_[i], result.version};
    actions_.push_back(SendBulk{next(), name, result.tensors[i]});
  }
}

void Stage::fail(const Status& status) {
  net::Control message;
  message.mutable_failure()->set_reason(status.message());
  send(central_, std::move(message));
  phase_ = Phase::kFinished;
  if (!options_.beside_central) actions_.push_back(Exit{status});
}

}  // namespace ft
