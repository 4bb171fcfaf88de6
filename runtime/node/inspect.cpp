// `ftrun inspect MODEL.onnx`: what the importer made of a model, and what it refuses.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>

#include "onnx_import/import.h"
#include "onnx_import/report.h"
#include "runtime/base/file.h"
#include "runtime/node/commands.h"
#include "runtime/node/measure_model.h"
#include "runtime/node/memory_rule.h"

namespace ft {
namespace {

int compute_threads(const Options& options) {
  if (options.threads > 0) return options.threads;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

// What the planner sees of the model on this machine.
Status add_measured(const std::shared_ptr<const Model>& model, const Options& options,
                    ModelReport* report) {
  TrainerOptions trainer;
  trainer.optimizer = options.optimizer;
  trainer.batch_size = model->batch;
  const int threads = compute_threads(options);
  FT_ASSIGN_OR_RETURN(const ModelSizes sizes, sizes_of(*model, trainer));
  FT_ASSIGN_OR_RETURN(const ModelTimes times,
                      measure_model(model, trainer, threads, Slowdown(), options.memory_bytes));
  report->measured = true;
  for (size_t i = 0; i < report->layers.size(); ++i) {
    LayerReport& layer = report->layers[i];
    layer.time_us = times.layer_us[i];
    layer.state_bytes = sizes.layers[i].state_bytes;
    layer.stash_bytes = sizes.layers[i].stash_bytes;
    layer.work_bytes = sizes.layers[i].work_bytes;
  }
  return Status();
}

Status add_memory(const Model& model, int64_t file_bytes, const Options& options,
                  ModelReport* report) {
  std::unique_ptr<Dataset> dataset;
  if (!options.data.empty()) {
    FT_ASSIGN_OR_RETURN(dataset, open_dataset(options.data, options.seed));
  }
  TrainerOptions trainer;
  trainer.optimizer = options.optimizer;
  trainer.micro_batches = options.sync ? options.micro_batches : 1;
  trainer.batch_size = model.batch * trainer.micro_batches;
  FT_ASSIGN_OR_RETURN(const MemoryPlan plan, plan_alone(model, trainer, compute_threads(options),
                                                        file_bytes, dataset.get()));
  report->memory = {
      {"parameter_bytes", "parameters", plan.parameter_bytes},
      {"optimizer_bytes", "the optimizer's state", plan.optimizer_bytes},
      {"statistic_bytes", "running statistics", plan.statistic_bytes},
      {"gradient_bytes", "gradients of parameters, besides the work space", plan.gradient_bytes},
      {"work_bytes", "work space", plan.work_bytes},
      {"kept_bytes", "  of it from forward to backward", plan.kept_bytes},
      {"column_bytes", "  of it at most in one kernel, columns above all", plan.column_bytes},
      {"batch_bytes", "samples of two batches, output and its gradient", plan.batch_bytes},
      {"spare_bytes", "pages of which a part is used", plan.spare_bytes},
      {"data_bytes", "the data set and the order of its samples", plan.data_bytes},
      {"process_bytes", "the program itself", plan.process_bytes},
      {"start_bytes", "more than that while the model file is read", plan.start_bytes},
      {"total_bytes", "in all: what --role solo --memory needs", plan.total_bytes()},
      {"cut_bytes", "more while a checkpoint is written, without --memory", plan.cut_bytes}};
  return Status();
}

}  // namespace

Status inspect(const Options& options) {
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(options.model));
  ImportOptions import_options;
  import_options.batch = options.batch_size;
  import_options.roles = options.roles;
  if (options.memory && options.sync) {
    import_options.batch /= options.micro_batches;
    import_options.micro_batches = options.micro_batches;
  }
  std::vector<ImportProblem> problems;
  Result<Model> model = import_model(file->bytes(), import_options, &problems);
  // A file that is no model at all has nothing to report.
  if (!model.ok() && problems.empty()) {
    return invalid_error("%s: %s", options.model.c_str(), model.status().message().c_str());
  }
  ModelReport report;
  if (model.ok()) report = make_report(*model);
  report.unsupported = problems;
  if (model.ok() && options.memory) {
    const auto file_bytes = static_cast<int64_t>(file->size());
    FT_RETURN_IF_ERROR(add_memory(*model, file_bytes, options, &report));
  }
  if (model.ok() && options.measure) {
    FT_RETURN_IF_ERROR(
        add_measured(std::make_shared<const Model>(std::move(*model)), options, &report));
  }
  const std::string text =
      options.json ? render_json(report, options.model) : render_text(report, options.model);
  std::printf("%s\n", text.c_str());
  if (model.ok()) return Status();
  return invalid_error("%s: cannot be trained", options.model.c_str());
}

}  // namespace ft
