#include "runtime/node/training_job.h"

#include "runtime/base/file.h"
#include "runtime/node/compute_thread.h"
#include "runtime/node/data_checks.h"
#include "runtime/node/heap.h"
#include "runtime/node/run_file.h"
#include "runtime/pipeline/schedule.h"

namespace ft {
namespace {

// A device of some 20 GFLOP/s and 8 GB/s: the proportions of a Raspberry Pi 5's core.
constexpr double kReferenceFlops = 20e9;
constexpr double kReferenceBytes = 8e9;

// Batches, evaluation and rows follow from data and the options.
Status finish_training(TrainingJob* job, int64_t epochs, int64_t batches) {
  net::Training& training = job->training;
  const int64_t samples = job->dataset->count(Split::kTrain);
  const int64_t per_epoch = samples / training.batch_size();
  const int micro_batches = micro_count(training);
  if (per_epoch == 0) {
    return too_few_samples(job->data_spec, samples, training.batch_size(), micro_batches);
  }
  std::string left_out = left_out_note(samples, training.batch_size(), micro_batches, job->shuffle);
  if (!left_out.empty()) job->notes.push_back(std::move(left_out));
  training.set_batches_per_epoch(per_epoch);
  training.set_batches(batches > 0 ? batches : epochs * per_epoch);
  const int64_t rows = job->model->batch;
  const int64_t test = evaluated_samples(*job->model, job->dataset->count(Split::kTest));
  if (const int64_t left = job->dataset->count(Split::kTest) - test; left > 0) {
    job->notes.push_back(format(
        "evaluation takes %lld of %lld test samples: the model computes whole batches of %lld only",
        static_cast<long long>(test), static_cast<long long>(test + left),
        static_cast<long long>(rows)));
  }
  training.set_evaluate(test > 0);
  training.set_evaluation_rows(test);
  training.set_evaluation_batches((test + rows - 1) / rows);
  training.set_data(job->data_spec);
  training.set_shuffle(job->shuffle);
  return Status();
}

Status open_parts(TrainingJob* job) {
  net::Training& training = job->training;
  job->model_sha = sha256(job->model_file->bytes());
  const ReturnsTensors returns;
  FT_ASSIGN_OR_RETURN(job->model,
                      import_file(job->model_path, *job->model_file, import_options(training)));
  const Status weights = check_weights(*job->model);
  if (!weights.ok()) {
    return invalid_error("%s: %s", job->model_path.c_str(), weights.message().c_str());
  }
  const bool cross_entropy = training.loss() == net::kCrossEntropy;
  FT_ASSIGN_OR_RETURN(job->dataset,
                      open_dataset(job->data_spec, training.seed(),
                                   cross_entropy ? TargetKind::kLabels : TargetKind::kValues));
  return check_data(*job->model, *job->dataset, cross_entropy, job->data_spec, &job->notes);
}

}  // namespace

BatchShape TrainingJob::batch_shape() const {
  return {model->batch, training.batch_size(), training.batches_per_epoch(), training.seed(),
          shuffle};
}

Result<std::shared_ptr<const Model>> import_file(const std::string& path, const Buffer& file,
                                                 const ImportOptions& options) {
  Result<Model> model = import_model(file.bytes(), options);
  if (!model.ok()) {
    return invalid_error("%s: %s", path.c_str(), model.status().message().c_str());
  }
  return std::shared_ptr<const Model>(std::make_shared<Model>(std::move(*model)));
}

void take_options(const Options& options, TrainingJob* job) {
  job->model_path = options.model;
  job->data_spec = options.data;
  job->shuffle = options.shuffle;
  net::Training& training = job->training;
  training.set_schedule(options.sync ? net::kSync : net::kAsync);
  training.set_micro_batches(options.sync ? options.micro_batches : 1);
  training.set_aggregate_every(options.aggregate_every);
  training.set_batch_size(options.batch_size);
  training.set_seed(options.seed);
  training.set_loss(options.loss == LossKind::kMeanSquaredError ? net::kMeanSquaredError
                                                                : net::kCrossEntropy);
  training.mutable_freeze()->Assign(options.roles.freeze.begin(), options.roles.freeze.end());
  training.mutable_train()->Assign(options.roles.train.begin(), options.roles.train.end());
  training.mutable_tie()->Assign(options.roles.tie.begin(), options.roles.tie.end());
  training.mutable_untie()->Assign(options.roles.untie.begin(), options.roles.untie.end());
  net::Optimizer* optimizer = training.mutable_optimizer();
  optimizer->set_learning_rate(options.optimizer.learning_rate);
  optimizer->set_momentum(options.optimizer.momentum);
  optimizer->set_weight_decay(options.optimizer.weight_decay);
  optimizer->set_nesterov(options.optimizer.nesterov);
  training.set_replicate_every(options.replicate_every);
  training.set_global_every(options.global_every);
  job->replicate_auto = options.replicate_auto;
  job->partition = options.partition;
  if (options.role == Role::kCentral) job->workers = options.workers;
  if (options.role == Role::kLocal) job->workers = options.stages - 1;
}

Result<TrainingJob> make_job(const Options& options) {
  TrainingJob job;
  take_options(options, &job);
  if (!options.sync && options.given.contains("--micro-batches") && options.micro_batches > 1) {
    job.notes.push_back(
        format("--micro-batches %d has no effect with --schedule async, which "
               "trains on whole batches; --schedule sync splits them",
               options.micro_batches));
  }
  FT_ASSIGN_OR_RETURN(job.model_file, read_file(options.model));
  FT_RETURN_IF_ERROR(open_parts(&job));
  int64_t batches = options.batches;
  const int64_t per_epoch = job.dataset->count(Split::kTrain) / options.batch_size;
  if (batches > 0 && options.epochs_given) {
    batches = std::min(batches, options.epochs * per_epoch);
  }
  FT_RETURN_IF_ERROR(finish_training(&job, options.epochs, batches));
  return job;
}

Result<TrainingJob> load_job(const RunDirectory& directory) {
  TrainingJob job;
  int64_t batches = 0;
  FT_RETURN_IF_ERROR(parse_run(directory, &job, &batches));
  const std::string path = directory.file("model.onnx");
  FT_ASSIGN_OR_RETURN(job.model_file, read_file(path));
  if (sha256(job.model_file->bytes()) != job.model_sha) {
    return invalid_error(
        "%s: damaged: its SHA-256 is not the one in run.json; put the run's own "
        "model file there",
        path.c_str());
  }
  FT_RETURN_IF_ERROR(open_parts(&job));
  FT_RETURN_IF_ERROR(finish_training(&job, 1, batches));
  return job;
}

Result<net::Training> load_training(const RunDirectory& directory) {
  TrainingJob job;
  int64_t batches = 0;
  FT_RETURN_IF_ERROR(parse_run(directory, &job, &batches));
  return job.training;
}

int64_t evaluated_samples(const Model& model, int64_t samples) {
  return model.rows_meet.empty() ? samples : samples / model.batch * model.batch;
}

std::vector<double> estimate_layer_costs(const Model& model) {
  std::vector<double> costs;
  for (const Layer& layer : model.layers) {
    double seconds = 1e-6;
    for (int32_t index = layer.node_first; index < layer.node_last; ++index) {
      const Node& node = model.nodes[static_cast<size_t>(index)];
      const std::vector<OpInput> inputs = op_inputs(model, node);
      OpRequest request;
      request.attributes = &node.attributes;
      request.inputs = inputs;
      request.output_count = static_cast<int>(node.outputs.size());
      request.opset = node.opset;
      request.node = static_cast<uint32_t>(index);
      const Result<KernelPlan> plan = node.op->make(request);
      if (!plan.ok() || plan->is_view) continue;
      double bytes = 0;
      for (const OpInput& input : inputs) bytes += static_cast<double>(input.type.bytes());
      for (const TensorType& output : plan->outputs) bytes += static_cast<double>(output.bytes());
      // Backward reads and writes about twice what forward does.
      seconds += 3 * (plan->flops / kReferenceFlops + bytes / kReferenceBytes);
    }
    costs.push_back(seconds);
  }
  return costs;
}

}  // namespace ft
