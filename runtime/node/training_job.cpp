#include "runtime/node/training_job.h"

#include <nlohmann/json.hpp>

#include "onnx_import/import.h"
#include "runtime/base/file.h"
#include "runtime/node/compute_thread.h"
#include "runtime/pipeline/schedule.h"

namespace ft {
namespace {

using Json = nlohmann::ordered_json;

// A device of some 20 GFLOP/s and 8 GB/s: the proportions of a Raspberry Pi 5's core.
constexpr double kReferenceFlops = 20e9;
constexpr double kReferenceBytes = 8e9;

// Batches, evaluation and rows follow from data and the options.
Status finish_training(TrainingJob* job, int64_t epochs, int64_t batches) {
  net::Training& training = job->training;
  const int64_t samples = job->dataset->count(Split::kTrain);
  const int64_t per_epoch = samples / training.batch_size();
  if (per_epoch == 0) {
    return invalid_error("--batch-size %lld: the data has only %lld samples",
                         static_cast<long long>(training.batch_size()),
                         static_cast<long long>(samples));
  }
  training.set_batches_per_epoch(per_epoch);
  training.set_batches(batches > 0 ? batches : epochs * per_epoch);
  const int64_t test = job->dataset->count(Split::kTest);
  training.set_evaluate(test > 0);
  training.set_evaluation_rows(test);
  training.set_evaluation_batches(evaluation_batches(*job->dataset, job->model->batch));
  training.set_data(job->data_spec);
  training.set_shuffle(job->shuffle);
  return Status();
}

Status open_parts(TrainingJob* job) {
  net::Training& training = job->training;
  job->model_sha = sha256(job->model_file->bytes());
  FT_ASSIGN_OR_RETURN(job->model, import_file(job->model_path, *job->model_file,
                                              training.batch_size() / micro_count(training)));
  FT_ASSIGN_OR_RETURN(job->dataset, open_dataset(job->data_spec, training.seed()));
  return check_data(*job->model, *job->dataset, training.loss() == net::kCrossEntropy,
                    job->data_spec);
}

}  // namespace

BatchShape TrainingJob::batch_shape() const {
  return {model->batch, training.batch_size(), training.batches_per_epoch(), training.seed(),
          shuffle};
}

Result<std::shared_ptr<const Model>> import_file(const std::string& path, const Buffer& file,
                                                 int64_t rows) {
  ImportOptions options;
  options.batch = rows;
  Result<Model> model = import_model(file.bytes(), options);
  if (!model.ok()) {
    return invalid_error("%s: %s", path.c_str(), model.status().message().c_str());
  }
  return std::shared_ptr<const Model>(std::make_shared<Model>(std::move(*model)));
}

Status check_data(const Model& model, const Dataset& dataset, bool cross_entropy,
                  const std::string& data_spec) {
  if (!(dataset.sample_shape() == model.sample_shape)) {
    return invalid_error("--data %s: samples are %s, but the model's input is %s",
                         data_spec.c_str(), to_string(dataset.sample_shape()).c_str(),
                         to_string(model.sample_shape).c_str());
  }
  const Shape& output = model.value(model.output).type.shape;
  if (output.rank() < 1 || output.dim(0) != model.batch) {
    return invalid_error("the model's output %s does not have the batch in front",
                         to_string(output).c_str());
  }
  const int64_t outputs = output.element_count() / model.batch;
  if (!cross_entropy) {
    if (dataset.classes() > 0) {
      return invalid_error("--loss mse: --data %s has class labels; it needs float targets",
                           data_spec.c_str());
    }
    if (dataset.target_elements() != outputs) {
      return invalid_error("--data %s: targets have %lld values, the model's output %lld",
                           data_spec.c_str(), static_cast<long long>(dataset.target_elements()),
                           static_cast<long long>(outputs));
    }
    return Status();
  }
  if (dataset.classes() == 0) {
    return invalid_error("--data %s: has float targets; say --loss mse", data_spec.c_str());
  }
  if (output.rank() != 2) {
    return invalid_error(
        "--loss cross-entropy: the model's output is %s; it needs one row of "
        "logits per sample",
        to_string(output).c_str());
  }
  if (dataset.classes() > outputs) {
    return invalid_error(
        "--data %s: has %lld classes (labels up to %lld), but the model has %lld "
        "outputs",
        data_spec.c_str(), static_cast<long long>(dataset.classes()),
        static_cast<long long>(dataset.classes() - 1), static_cast<long long>(outputs));
  }
  return Status();
}

namespace {

// How often cuts are taken changes no result.
void take_cuts(const Options& options, TrainingJob* job) {
  job->training.set_replicate_every(options.replicate_every);
  job->training.set_global_every(options.global_every);
  job->replicate_auto = options.replicate_auto;
}

// What the command line says of the result.
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
  net::Optimizer* optimizer = training.mutable_optimizer();
  optimizer->set_learning_rate(options.optimizer.learning_rate);
  optimizer->set_momentum(options.optimizer.momentum);
  optimizer->set_weight_decay(options.optimizer.weight_decay);
  optimizer->set_nesterov(options.optimizer.nesterov);
  take_cuts(options, job);
}

}  // namespace

Result<TrainingJob> make_job(const Options& options) {
  TrainingJob job;
  take_options(options, &job);
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

namespace {

// What defines the result, as run.json has it.
Json to_json(const TrainingJob& job) {
  const net::Training& training = job.training;
  const net::Optimizer& optimizer = training.optimizer();
  return {{"model_sha256", to_hex(job.model_sha)},
          {"data", job.data_spec},
          {"shuffle", job.shuffle},
          {"schedule", training.schedule() == net::kSync ? "sync" : "async"},
          {"micro_batches", training.micro_batches()},
          {"aggregate_every", training.aggregate_every()},
          {"batch_size", training.batch_size()},
          {"batches", training.batches()},
          {"seed", training.seed()},
          {"loss", training.loss() == net::kCrossEntropy ? "cross-entropy" : "mse"},
          {"optimizer",
           {{"kind", "sgd"},
            {"learning_rate", optimizer.learning_rate()},
            {"momentum", optimizer.momentum()},
            {"weight_decay", optimizer.weight_decay()},
            {"nesterov", optimizer.nesterov()}}}};
}

}  // namespace

std::string job_to_json(const TrainingJob& job, const RunId& run) {
  Json json = {{"format", 1}, {"run", to_hex(run)}, {"model", job.model_path}};
  json.update(to_json(job));
  json["replicate_every"] = job.training.replicate_every();
  json["replicate_auto"] = job.replicate_auto;
  json["global_every"] = job.training.global_every();
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

namespace {

// run.json, without opening model or data. `batches` is the run's length.
Status parse_run(const RunDirectory& directory, TrainingJob* job, int64_t* batches) {
  FT_ASSIGN_OR_RETURN(const std::string text, directory.read_run());
  const std::string path = directory.file("run.json");
  net::Training& training = job->training;
  try {
    const Json json = Json::parse(text);
    const bool named = from_hex(json.at("run").get<std::string>(), job->run);
    if (!named || job->run == RunId{}) return invalid_error("%s: no run id", path.c_str());
    job->model_path = json.at("model").get<std::string>();
    if (!from_hex(json.at("model_sha256").get<std::string>(), job->model_sha)) {
      return invalid_error("%s: model_sha256 is no SHA-256", path.c_str());
    }
    job->data_spec = json.at("data").get<std::string>();
    job->shuffle = json.at("shuffle").get<bool>();
    training.set_schedule(json.at("schedule") == "sync" ? net::kSync : net::kAsync);
    training.set_micro_batches(json.at("micro_batches").get<int32_t>());
    training.set_aggregate_every(json.at("aggregate_every").get<int32_t>());
    training.set_batch_size(json.at("batch_size").get<int64_t>());
    training.set_seed(json.at("seed").get<uint64_t>());
    training.set_loss(json.at("loss") == "mse" ? net::kMeanSquaredError : net::kCrossEntropy);
    const Json& optimizer = json.at("optimizer");
    training.mutable_optimizer()->set_learning_rate(optimizer.at("learning_rate").get<float>());
    training.mutable_optimizer()->set_momentum(optimizer.at("momentum").get<float>());
    training.mutable_optimizer()->set_weight_decay(optimizer.at("weight_decay").get<float>());
    training.mutable_optimizer()->set_nesterov(optimizer.at("nesterov").get<bool>());
    *batches = json.at("batches").get<int64_t>();
    training.set_replicate_every(json.at("replicate_every").get<int64_t>());
    training.set_global_every(json.at("global_every").get<int64_t>());
    job->replicate_auto = json.at("replicate_auto").get<bool>();
  } catch (const Json::exception& error) {
    return invalid_error("%s: not a run of this version: %s", path.c_str(), error.what());
  }
  if (*batches < 0 || training.replicate_every() < 1 || training.global_every() < 1 ||
      training.batch_size() <= 0 || training.micro_batches() <= 0 ||
      training.batch_size() % training.micro_batches() != 0) {
    return invalid_error("%s: impossible numbers", path.c_str());
  }
  return Status();
}

}  // namespace

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

// An option that was given says what run.json says, or the two are about different runs.
Status apply_given(const Options& options, TrainingJob* resumed) {
  const TrainingJob& job = *resumed;
  static constexpr struct {
    const char* option;
    const char* key;
  } kKeys[] = {{"--data", "/data"},
               {"--shuffle", "/shuffle"},
               {"--schedule", "/schedule"},
               {"--micro-batches", "/micro_batches"},
               {"--aggregate-every", "/aggregate_every"},
               {"--batch-size", "/batch_size"},
               {"--seed", "/seed"},
               {"--loss", "/loss"},
               {"--lr", "/optimizer/learning_rate"},
               {"--momentum", "/optimizer/momentum"},
               {"--weight-decay", "/optimizer/weight_decay"},
               {"--nesterov", "/optimizer/nesterov"}};
  TrainingJob asked;
  take_options(options, &asked);
  const Json own = to_json(job);
  const Json wanted = to_json(asked);
  for (const auto& [option, key] : kKeys) {
    const Json::json_pointer pointer{key};
    if (options.given.count(option) == 0 || own.at(pointer) == wanted.at(pointer)) continue;
    return invalid_error(
        "%s: the run in %s has %s there, not %s; leave it out, or begin another run", option,
        options.run_dir.c_str(), own.at(pointer).dump().c_str(), wanted.at(pointer).dump().c_str());
  }
  int64_t batches = options.given.count("--batches") != 0 ? options.batches : 0;
  if (options.given.count("--epochs") != 0) {
    const int64_t by_epochs = options.epochs * job.training.batches_per_epoch();
    batches = batches > 0 ? std::min(batches, by_epochs) : by_epochs;
  }
  if (batches > 0 && batches != job.training.batches()) {
    return invalid_error(
        "--batches, --epochs: the run in %s has %lld batches, not %lld; leave them "
        "out, or begin another run",
        options.run_dir.c_str(), static_cast<long long>(job.training.batches()),
        static_cast<long long>(batches));
  }
  TrainingJob cuts;
  take_cuts(options, &cuts);
  if (options.given.count("--replicate-every") != 0) {
    resumed->training.set_replicate_every(cuts.training.replicate_every());
    resumed->replicate_auto = cuts.replicate_auto;
  }
  if (options.given.count("--global-every") != 0) {
    resumed->training.set_global_every(cuts.training.global_every());
  }
  if (options.model.empty()) return Status();
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(options.model));
  if (sha256(file->bytes()) == job.model_sha) return Status();
  return invalid_error("%s: the run in %s trains another model; give the same file, or none",
                       options.model.c_str(), options.run_dir.c_str());
}

Result<OptimizerOptions> load_optimizer(const RunDirectory& directory) {
  TrainingJob job;
  int64_t batches = 0;
  FT_RETURN_IF_ERROR(parse_run(directory, &job, &batches));
  return trainer_options(job.training).optimizer;
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
