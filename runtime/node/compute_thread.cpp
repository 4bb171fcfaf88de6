#include "runtime/node/compute_thread.h"

#include <chrono>
#include <cmath>
#include <set>

#include "onnx_import/import.h"
#include "runtime/base/digest.h"
#include "runtime/base/file.h"
#include "runtime/exec/cpu_probe.h"
#include "runtime/exec/layer_timer.h"
#include "runtime/node/heap.h"
#include "runtime/node/measure_model.h"
#include "runtime/node/message_probe.h"
#include "runtime/pipeline/schedule.h"

namespace ft {
namespace {

// Of one thread, for one task.
constexpr TimeUs kPieceUs = 20 * kMillisecondUs;
constexpr TimeUs kPieceUsMin = 2 * kMillisecondUs;
// Who was stopped does not make up for it.
constexpr TimeUs kLateUsMax = 20 * kMillisecondUs;
constexpr int64_t kWatchEvery = 8;

}  // namespace

TrainerOptions trainer_options(const net::Training& training) {
  TrainerOptions options;
  options.optimizer.learning_rate = training.optimizer().learning_rate();
  options.optimizer.momentum = training.optimizer().momentum();
  options.optimizer.weight_decay = training.optimizer().weight_decay();
  options.optimizer.nesterov = training.optimizer().nesterov();
  options.loss = training.loss() == net::kMeanSquaredError ? LossKind::kMeanSquaredError
                                                           : LossKind::kCrossEntropy;
  options.batch_size = training.batch_size();
  options.micro_batches = micro_count(training);
  options.seed = training.seed();
  options.batches_per_epoch = training.batches_per_epoch();
  return options;
}

int64_t label_row_bytes(const net::Training& training, const Model& model) {
  if (training.loss() == net::kCrossEntropy) return 8;
  return model.value(model.output).type.bytes() / model.batch;
}

ImportOptions import_options(const net::Training& training) {
  ImportOptions options;
  options.batch = training.batch_size() / micro_count(training);
  options.micro_batches = micro_count(training);
  options.cross_entropy = training.loss() == net::kCrossEntropy;
  options.roles.freeze.assign(training.freeze().begin(), training.freeze().end());
  options.roles.train.assign(training.train().begin(), training.train().end());
  options.roles.tie.assign(training.tie().begin(), training.tie().end());
  options.roles.untie.assign(training.untie().begin(), training.untie().end());
  return options;
}

Result<Model> import_for(const net::Training& training, const Buffer& model_file) {
  return import_model(model_file.bytes(), import_options(training));
}

ComputeThread::ComputeThread(const ComputeOptions& options, Mailbox<TaskResult>* results)
    : options_(options),
      results_(*results),
      model_(options.model),
      imported_(options.model_sha256),
      imported_as_(options.imported_as),
      thread_([this] { loop(); }) {}

ComputeThread::~ComputeThread() {
  tasks_.close();
  thread_.join();
}

void ComputeThread::loop() {
  pool_ = std::make_unique<ThreadPool>(options_.threads);
  Task task;
  TimeUs owed_us = 0;  // of the task before, after its result was handed on
  TimeUs owed_cpu_us = 0;
  TimeUs owed_slept_us = 0;
  while (tasks_.take(&task)) {
    const TimeUs started = monotonic_now_us();
    const TimeUs cpu_started = cpu_now_us();
    TaskResult result;
    result.kind = task.kind;
    result.term = task.term;
    result.batch = task.batch;
    result.micro = task.micro;
    result.version = task.version;
    result.layer = task.layer;
    run(task, &result);
    const TimeUs cpu = cpu_now_us() - cpu_started;
    result.task_cpu_us = (cpu + owed_cpu_us) / pool_->threads();
    result.process_cpu_us = process_cpu_now_us() / pool_->threads();
    result.slept_us = owed_slept_us;
    const bool is_layer = task.kind == TaskKind::kMeasure && task.layer >= 0;
    if (!is_layer) result.slept_us += sleep_after(started, cpu);
    result.busy_us = monotonic_now_us() - started + owed_us;
    owed_us = owed_cpu_us = owed_slept_us = 0;
    results_.put(std::move(result));
    if (task.kind == TaskKind::kBackward) {  // the gradients are on their way
      const TimeUs rest_started = monotonic_now_us();
      const TimeUs rest_cpu_started = cpu_now_us();
      trainer_->finish_backward();
      owed_cpu_us = cpu_now_us() - rest_cpu_started;
      owed_slept_us = sleep_after(rest_started, owed_cpu_us);
      owed_us = monotonic_now_us() - rest_started;
    }
    task = Task();  // its tensors are not kept while waiting
  }
  trainer_.reset();
  pool_.reset();
}

TimeUs ComputeThread::cpu_now_us() const { return thread_cpu_now_us() + pool_->worker_cpu_us(); }

// As --slowdown asks for after work that began at `started` and took `cpu_us`. Waiting for a core
// counts as sleep, and what a sleep takes too long is taken off the next ones: a third of each at
// most, or several tasks without any sleep would look like a device that has become fast. Returns
// what it has slept.
TimeUs ComputeThread::sleep_after(TimeUs started, TimeUs cpu_us) {
  const double slowdown = options_.slowdown.factor();
  if (slowdown <= 1.0) return 0;
  const auto pause = static_cast<TimeUs>((slowdown - 1.0) * static_cast<double>(cpu_us));
  const TimeUs made_up = std::min(late_us_, pause / 3);
  const TimeUs until = started + cpu_us / pool_->threads() + pause - made_up;
  const TimeUs now = monotonic_now_us();
  if (until > now) std::this_thread::sleep_for(std::chrono::microseconds(until - now));
  const TimeUs slept = monotonic_now_us() - now;
  late_us_ = std::min(late_us_ - made_up + now + slept - until, kLateUsMax);
  return slept;
}

void ComputeThread::run(const Task& task, TaskResult* result) {
  switch (task.kind) {
    case TaskKind::kConfigure:
      result->status = configure(task, result);
      break;
    case TaskKind::kForward:
      result->status = forward(task, result);
      break;
    case TaskKind::kBackward:
      result->tensors = trainer_->backward(task.batch, task.micro, task.tensors);
      break;
    case TaskKind::kStep:
      step(task, result);
      break;
    case TaskKind::kEvaluate:
      result->status = evaluate(task, result);
      break;
    case TaskKind::kSnapshot:
      result->status = snapshot(task, result);
      break;
    case TaskKind::kMeasure:
      result->status = measure(task, result);
      break;
  }
}

// The model file's contents, with the weights.
Result<std::unique_ptr<Model>> ComputeThread::import(const Task& task) {
  if (task.model != nullptr) options_.model_file = task.model;
  ConstBufferPtr file = options_.model_file;
  if (file == nullptr) {
    FT_ASSIGN_OR_RETURN(file, read_file(options_.model_path));
  }
  const std::string& wanted = task.assign.model_sha256();
  const Sha256 digest = sha256(file->bytes());
  if (std::string(digest.begin(), digest.end()) != wanted) {
    return refused_error("the model file received has another SHA-256 than announced");
  }
  const ReturnsTensors returns;
  FT_ASSIGN_OR_RETURN(Model model, import_for(task.assign.training(), *file));
  return std::make_unique<Model>(std::move(model));
}

// Imports the file unless that was done, in this very way. `imported` is then the model
// with its weights; the one that stays has none.
Status ComputeThread::use_model(const Task& task, std::unique_ptr<Model>* imported) {
  const net::Training& training = task.assign.training();
  const std::string& wanted = task.assign.model_sha256();
  const ImportOptions options = import_options(training);
  if (model_ != nullptr && imported_ == wanted && imported_as_ == options) return Status();
  FT_ASSIGN_OR_RETURN(*imported, import(task));
  model_ = without_weights(**imported);
  imported_ = wanted;
  imported_as_ = options;
  return Status();
}

// Of the trainer's layers: the snapshots that came with the task, else the file's weights.
Result<std::vector<LayerState>> ComputeThread::states_of(const Task& task,
                                                         std::unique_ptr<Model> imported) {
  const int first = task.assign.stages(task.stage).range().first();
  std::vector<LayerState> states;
  for (size_t i = 0; i < task.snapshots.size(); ++i) {
    const int layer = first + static_cast<int>(i);
    const LayerLayout& layout = trainer_->layouts()[static_cast<size_t>(layer)];
    if (task.snapshots[i] == nullptr) {
      if (imported == nullptr) {
        FT_ASSIGN_OR_RETURN(imported, import(task));
      }
      states.push_back(initial_state(*imported, layer, layout));
      drop_weights(imported.get(), layer);
    } else {
      FT_ASSIGN_OR_RETURN(LayerState state, from_snapshot(layout, task.snapshots[i]));
      states.push_back(std::move(state));
    }
  }
  return states;
}

Status ComputeThread::configure(const Task& task, TaskResult* result) {
  std::unique_ptr<Model> imported;
  FT_RETURN_IF_ERROR(use_model(task, &imported));
  const net::LayerRange& range = task.assign.stages(task.stage).range();
  if (range.last() > model_->layer_count()) {
    return refused_error("layers [%d, %d) assigned, but the model has %d", range.first(),
                         range.last(), model_->layer_count());
  }
  trainer_.reset();  // its memory first
  const net::Training& training = task.assign.training();
  TrainerOptions options = trainer_options(training);
  const StagePlace place{task.stage, task.assign.stages_size(), task.version};
  options.one_in_flight = in_flight_max(place) == 1;
  options.steps_by_layer = task.stage == 0;
  // What that takes of memory is in no plan.
  options.defers_gradients = defers_gradients(training, place) && options_.memory_bytes == 0;
  FT_ASSIGN_OR_RETURN(
      trainer_, RangeTrainer::create(model_, {range.first(), range.last()}, options, pool_.get()));
  watch_ =
      std::make_unique<LayerWatch>(*model_, LayerRange{range.first(), range.last()}, pool_.get());
  FT_CHECK(static_cast<int>(task.snapshots.size()) == range.last() - range.first());
  FT_ASSIGN_OR_RETURN(const std::vector<LayerState> states, states_of(task, std::move(imported)));
  trainer_->load(task.version, states);
  return_free_pages();
  label_row_bytes_ = label_row_bytes(task.assign.training(), *model_);
  const RangeProgram& program = trainer_->executor().train();
  result->inputs = program.inputs;
  result->outputs = program.outputs;
  result->received_gradients =
      trainer_->is_last() ? std::vector<int32_t>() : program.received_gradients;
  result->sent_gradients = program.sent_gradients;
  for (const auto* ids : {&program.inputs, &program.outputs}) {
    for (const ValueId id : *ids) result->value_bytes[id] = model_->value(id).type.bytes();
  }
  result->label_row_bytes = label_row_bytes_;
  for (const LayerLayout& layout : trainer_->layouts()) {
    result->layer_bytes.push_back(layout.snapshot_bytes());
  }
  return Status();
}

// Each layer's time is looked at every kWatchEvery batches: asking for it takes time as well.
void ComputeThread::step(const Task& task, TaskResult* result) {
  trainer_->step(task.batch, task.mean_from,
                 {task.retain_oldest, std::set(task.retain_cuts.begin(), task.retain_cuts.end())});
  const int64_t phase = task.batch % kWatchEvery;
  if (phase == kWatchEvery - 1) result->layer_us = watch_->take();
  trainer_->watch(phase == kWatchEvery - 2 ? watch_.get() : nullptr);
}

// --slowdown is not slept for after a layer: it counts as if it had been. Probes are short pieces,
// so that they fit between other tasks.
Status ComputeThread::measure(const Task& task, TaskResult* result) {
  const double slowdown = options_.slowdown.factor();
  if (task.layer == kNoLayer) {
    const auto duration = static_cast<TimeUs>(static_cast<double>(kPieceUs) / slowdown);
    const CpuProbe probe = probe_cpu(pool_.get(), std::max(duration, kPieceUsMin));
    result->work = probe.work / slowdown;
    result->cpu_us = probe.cpu_us;
    result->pauses_us = probe.pauses_us;
    result->pauses_us2 = probe.pauses_us2;
    return Status();
  }
  std::unique_ptr<Model> imported;
  FT_RETURN_IF_ERROR(use_model(task, &imported));
  result->layers = model_->layer_count();
  if (task.layer >= model_->layer_count()) return refused_error("no layer %d", task.layer);
  const TrainerOptions options = trainer_options(task.assign.training());
  const LayerRange range =
      timed_together(*model_, task.layer, options, bytes_for_timing(options_.memory_bytes));
  if (task.layer == 0) result->byte_us = message_byte_us() / pool_->threads();
  FT_ASSIGN_OR_RETURN(result->layer_us, time_layers(model_, range, options, pool_.get()));
  for (double& us : result->layer_us) us *= slowdown;
  return Status();
}

Status ComputeThread::forward(const Task& task, TaskResult* result) {
  FT_ASSIGN_OR_RETURN(
      RangeTrainer::ForwardResult made,
      trainer_->forward(task.batch, task.micro, task.version, task.tensors, task.labels));
  result->tensors = std::move(made.outputs);
  result->loss_sum = made.loss.loss_sum;
  result->correct = made.loss.correct;
  result->rows = model_->batch;
  return Status();
}

// What is not finite is no cut: the run ends before it could replace a good checkpoint.
Status ComputeThread::snapshot(const Task& task, TaskResult* result) {
  const ConstBufferPtr bytes = trainer_->state(task.layer, task.version).snapshot;
  const LayerLayout& layout = trainer_->layouts()[static_cast<size_t>(task.layer)];
  FT_RETURN_IF_ERROR(check_finite(*model_, task.layer, layout, *bytes, task.version));
  result->tensors = {bytes};
  return Status();
}

// The labels of the last evaluation batch may be fewer than the model's rows: the rest is padding.
Status ComputeThread::evaluate(const Task& task, TaskResult* result) {
  int64_t rows = model_->batch;
  if (task.labels != nullptr) {
    rows = static_cast<int64_t>(task.labels->size()) / label_row_bytes_;
  }
  FT_ASSIGN_OR_RETURN(RangeTrainer::EvaluationResult made,
                      trainer_->evaluate(task.version, task.tensors, task.labels, rows));
  if (!std::isfinite(made.loss.loss_sum)) {
    return failed_error(
        "after batch %lld the loss over the test samples is not finite: the model's output "
        "overflows; begin another run with a smaller --lr",
        static_cast<long long>(task.version + 1));
  }
  result->tensors = std::move(made.outputs);
  result->loss_sum = made.loss.loss_sum;
  result->correct = made.loss.correct;
  result->rows = rows;
  return Status();
}

}  // namespace ft
