#include "runtime/node/memory_rule.h"

#include <algorithm>
#include <optional>

#include "runtime/node/compute_thread.h"
#include "runtime/node/heap.h"
#include "runtime/node/measure_model.h"

namespace ft {
namespace {

std::string mib(int64_t bytes) {
  return format("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

// Cuts of one in `every` batches that are taken before the last batch, and so held while training
// goes on: the newest whole one and the one that is under way.
int cuts_held(const net::Training& training, int64_t every) {
  if (every <= 0) return 0;
  return static_cast<int>(std::min<int64_t>(2, (training.batches() - 1) / every));
}

bool evaluates_before_the_end(const net::Training& training) {
  return training.evaluate() && training.batches() > training.batches_per_epoch();
}

// The job with another batch size, as far as memory goes; empty where the model cannot be bound.
std::optional<int64_t> total_with(const TrainingJob& job, int64_t batch_size, int micro_batches,
                                  int threads) {
  net::Training training = job.training;
  training.set_batch_size(batch_size);
  training.set_micro_batches(micro_batches);
  if (micro_batches > 1) training.set_schedule(net::kSync);
  const ReturnsTensors returns;
  const Result<Model> model = import_for(training, *job.model_file);
  if (!model.ok()) return std::nullopt;
  const Result<MemoryPlan> plan =
      plan_alone(*model, trainer_options(training), threads,
                 static_cast<int64_t>(job.model_file->size()), job.dataset.get());
  if (!plan.ok()) return std::nullopt;
  return plan->total_bytes();
}

// The greatest batch that fits; 0 where not even one sample does.
int64_t batch_that_fits(const TrainingJob& job, int threads, int64_t memory_bytes) {
  const int micro_batches = micro_count(job.training);
  const auto fits = [&](int64_t rows) {
    const auto total = total_with(job, rows * micro_batches, micro_batches, threads);
    return total && *total <= memory_bytes;
  };
  int64_t good = 0;
  int64_t bad = job.training.batch_size() / micro_batches;
  while (bad - good > 1) {
    const int64_t middle = (good + bad) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good * micro_batches;
}

// The fewest micro-batches of the same batch that fit; 0 where none do.
int micro_batches_that_fit(const TrainingJob& job, int threads, int64_t memory_bytes) {
  const int64_t batch_size = job.training.batch_size();
  for (int parts = micro_count(job.training) + 1; parts <= batch_size; ++parts) {
    if (batch_size % parts != 0) continue;
    const auto total = total_with(job, batch_size, parts, threads);
    if (total && *total <= memory_bytes) return parts;
  }
  return 0;
}

std::string remedies(const TrainingJob& job, int threads, int64_t memory_bytes) {
  const int64_t batch = batch_that_fits(job, threads, memory_bytes);
  const int parts = micro_batches_that_fit(job, threads, memory_bytes);
  std::string text;
  if (batch > 0) text += format("--batch-size %lld fits", static_cast<long long>(batch));
  if (parts > 0) {
    text += format("%s--schedule sync --micro-batches %d fits", text.empty() ? "" : "; ", parts);
  }
  if (text.empty()) text = "not even --batch-size 1 fits";
  return text +
         "; or train on more devices (--role central here, --role stage there), or on one with "
         "more "
         "memory";
}

}  // namespace

int64_t data_bytes_of(const Dataset& dataset) {
  constexpr int64_t kOrders = 2;
  // What the program takes has room for that much: inspect without --data tells small ones the
  // same.
  constexpr int64_t kSmallBytes = 256 << 10;
  const int64_t bytes = dataset.held_bytes() + kOrders * dataset.count(Split::kTrain) *
                                                   static_cast<int64_t>(sizeof(int64_t));
  return std::max<int64_t>(0, bytes - kSmallBytes);
}

Result<MemoryPlan> plan_alone(const Model& model, const TrainerOptions& options, int threads,
                              int64_t file_bytes, const Dataset* dataset) {
  ProcessMemory process;
  process.threads = threads;
  process.file_bytes = file_bytes;
  if (dataset != nullptr) {
    process.data_bytes = data_bytes_of(*dataset);
    process.evaluates = dataset->count(Split::kTest) > 0;
  }
  return plan_memory(model, {0, model.layer_count()}, options, 1, process);
}

Status check_alone(const TrainingJob& job, int threads, int64_t memory_bytes) {
  FT_ASSIGN_OR_RETURN(const MemoryPlan plan,
                      plan_alone(*job.model, trainer_options(job.training), threads,
                                 static_cast<int64_t>(job.model_file->size()), job.dataset.get()));
  if (plan.total_bytes() <= memory_bytes) return Status();
  return invalid_error(
      "--memory: training %s alone with --batch-size %lld takes %s, and there are %s (%s for the "
      "range with its state and work space, %s for the data, %s for the program, %s more while the "
      "file is read; ftrun inspect --memory has more): %s",
      job.model_path.c_str(), static_cast<long long>(job.training.batch_size()),
      mib(plan.total_bytes()).c_str(), mib(memory_bytes).c_str(), mib(plan.range_bytes()).c_str(),
      mib(plan.data_bytes).c_str(), mib(plan.process_bytes + plan.file_bytes).c_str(),
      mib(plan.start_bytes).c_str(), remedies(job, threads, memory_bytes).c_str());
}

void add_memory_rule(const TrainingJob& job, int threads, CentralOptions* central) {
  const net::Training& training = job.training;
  const auto file_bytes = static_cast<int64_t>(central->model->size());
  ProcessMemory stage;
  stage.has_peers = stage.keeps_file = true;
  stage.file_bytes = file_bytes;
  const std::shared_ptr<const Model> model = job.model;
  central->process_size = [=](const net::Hello& device) {
    ProcessMemory process = stage;
    process.threads = device.threads();
    return process_size_of(*model, process);
  };
  ProcessMemory own = stage;
  own.threads = threads;
  own.data_bytes = data_bytes_of(*job.dataset);
  own.has_peers = own.keeps_file = !central->alone;
  central->own_process = process_size_of(*model, own);
  int cuts = 0;  // alone a step waits for the cut before it (StageOptions::overwrites)
  if (!central->alone) {
    cuts = cuts_held(training, training.replicate_every()) +
           (evaluates_before_the_end(training) ? 1 : 0);
    // The newest checkpoint and the next one, of all layers; the last one in any case.
    const int64_t every = training.replicate_every() * training.global_every();
    const int checkpoints = std::min(2, 1 + cuts_held(training, every));
    for (const int64_t bytes : central->layer_bytes) {
      central->own_process.held_bytes += checkpoints * bytes;
    }
  }
  central->range_bytes =
      range_bytes_of(model, trainer_options(training), cuts, training.evaluate());
}

}  // namespace ft
