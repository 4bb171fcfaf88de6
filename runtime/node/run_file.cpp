#include "runtime/node/run_file.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "runtime/base/file.h"
#include "runtime/node/option_checks.h"
#include "runtime/pipeline/training_difference.h"

namespace ft {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

// A double that is written with as few digits as the float needs.
double short_number(float number) {
  const double value = std::strtod(number_text(number).c_str(), nullptr);
  return static_cast<float>(value) == number ? value : static_cast<double>(number);
}

template <typename Texts>
std::vector<std::string> names_of(const Texts& texts) {
  return {texts.begin(), texts.end()};
}

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
          {"freeze", names_of(training.freeze())},
          {"train", names_of(training.train())},
          {"tie", names_of(training.tie())},
          {"untie", names_of(training.untie())},
          {"optimizer",
           {{"kind", "sgd"},
            {"learning_rate", short_number(optimizer.learning_rate())},
            {"momentum", short_number(optimizer.momentum())},
            {"weight_decay", short_number(optimizer.weight_decay())},
            {"nesterov", optimizer.nesterov()}}}};
}

// As the command line says it.
std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "on" : "off";
  if (value.is_array()) {
    std::string text;
    for (const Json& item : value) text += (text.empty() ? "" : ",") + text_of(item);
    return text.empty() ? "nothing" : text;
  }
  return value.dump();
}

// Reads one value after the other; the first that is wrong is what `status` names.
class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}

  template <typename T>
  T get(const char* key) {
    try {
      return json_.at(Json::json_pointer(key)).get<T>();
    } catch (const Json::exception&) {
      fail(key, "is missing or of another kind");
      return T();
    }
  }
  template <typename T>
  T at_least(T least, const char* key) {
    const T value = get<T>(key);
    if (status_.ok() && !(value >= least && std::isfinite(static_cast<double>(value)))) {
      fail(key, "is " + text_of(json_.at(Json::json_pointer(key))));
    }
    return value;
  }
  // Whether it is the first of the two words that it may be.
  bool is_first(const char* key, const std::string& first, const std::string& second) {
    const std::string word = get<std::string>(key);
    if (status_.ok() && word != first && word != second) fail(key, "is " + word);
    return word == first;
  }
  void fail(const char* key, const std::string& what) {
    if (status_.ok()) status_ = invalid_error("\"%s\" %s", key + 1, what.c_str());
  }
  const Status& status() const { return status_; }

 private:
  const Json& json_;
  Status status_;
};

Status parse(const std::string& text, TrainingJob* job, int64_t* batches) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return invalid_error("it is no JSON");
  Reader reader(json);
  if (reader.get<int>("/format") != kFormat) reader.fail("/format", "is not 1");
  const bool named = from_hex(reader.get<std::string>("/run"), job->run);
  if (!named || job->run == RunId{}) reader.fail("/run", "is no run's id");
  job->model_path = reader.get<std::string>("/model");
  if (!from_hex(reader.get<std::string>("/model_sha256"), job->model_sha)) {
    reader.fail("/model_sha256", "is no SHA-256");
  }
  job->data_spec = reader.get<std::string>("/data");
  job->shuffle = reader.get<bool>("/shuffle");
  net::Training& training = job->training;
  training.set_schedule(reader.is_first("/schedule", "sync", "async") ? net::kSync : net::kAsync);
  training.set_micro_batches(reader.at_least(1, "/micro_batches"));
  training.set_aggregate_every(reader.at_least(0, "/aggregate_every"));
  training.set_batch_size(reader.at_least(int64_t{1}, "/batch_size"));
  if (reader.status().ok() && training.batch_size() % training.micro_batches() != 0) {
    reader.fail("/micro_batches", "does not divide \"batch_size\"");
  }
  training.set_seed(reader.get<uint64_t>("/seed"));
  training.set_loss(reader.is_first("/loss", "mse", "cross-entropy") ? net::kMeanSquaredError
                                                                     : net::kCrossEntropy);
  // A file of an older version has none of them.
  const auto choices = [&](const char* key, auto* target) {
    if (!json.contains(Json::json_pointer(key))) return;
    const auto names = reader.get<std::vector<std::string>>(key);
    target->Assign(names.begin(), names.end());
  };
  choices("/freeze", training.mutable_freeze());
  choices("/train", training.mutable_train());
  choices("/tie", training.mutable_tie());
  choices("/untie", training.mutable_untie());
  net::Optimizer* optimizer = training.mutable_optimizer();
  optimizer->set_learning_rate(reader.at_least(0.0F, "/optimizer/learning_rate"));
  optimizer->set_momentum(reader.at_least(0.0F, "/optimizer/momentum"));
  optimizer->set_weight_decay(reader.at_least(0.0F, "/optimizer/weight_decay"));
  optimizer->set_nesterov(reader.get<bool>("/optimizer/nesterov"));
  *batches = reader.at_least(int64_t{1}, "/batches");
  training.set_replicate_every(reader.at_least(int64_t{1}, "/replicate_every"));
  training.set_global_every(reader.at_least(int64_t{1}, "/global_every"));
  job->replicate_auto = reader.get<bool>("/replicate_auto");
  if (json.contains("workers")) job->workers = reader.at_least(0, "/workers");
  if (json.contains("partition")) job->partition = reader.get<std::string>("/partition");
  if (reader.status().ok() && !is_partition(job->partition)) {
    reader.fail("/partition", "is " + job->partition);
  }
  return reader.status();
}

}  // namespace

std::string job_to_json(const TrainingJob& job, const RunId& run) {
  Json json = {{"format", kFormat}, {"run", to_hex(run)}, {"model", job.model_path}};
  json.update(to_json(job));
  json["replicate_every"] = job.training.replicate_every();
  json["replicate_auto"] = job.replicate_auto;
  json["global_every"] = job.training.global_every();
  json["partition"] = job.partition;
  if (job.workers >= 0) json["workers"] = job.workers;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Status parse_run(const RunDirectory& directory, TrainingJob* job, int64_t* batches) {
  FT_ASSIGN_OR_RETURN(const std::string text, directory.read_run());
  const Status parsed = parse(text, job, batches);
  if (parsed.ok()) return parsed;
  return invalid_error(
      "%s: damaged, or of another version of ftrun: %s; put a copy of it there, or go on with what "
      "stages hold: --resume with an empty --run-dir and the run's own model and options",
      directory.file("run.json").c_str(), parsed.message().c_str());
}

namespace {

Status check_batches(const Options& options, const TrainingJob& job) {
  const bool by_batches = options.given.count("--batches") != 0;
  const bool by_epochs = options.given.count("--epochs") != 0;
  int64_t batches = by_batches ? options.batches : 0;
  if (by_epochs) {
    const int64_t in_epochs = options.epochs * job.training.batches_per_epoch();
    batches = by_batches ? std::min(batches, in_epochs) : in_epochs;
  }
  if (batches == 0 || batches == job.training.batches()) return Status();
  return invalid_error(
      "%s: the run in %s has %lld batches, not %lld; leave it out, or begin another run",
      !by_epochs   ? "--batches"
      : by_batches ? "--batches and --epochs"
                   : "--epochs",
      options.run_dir.c_str(), static_cast<long long>(job.training.batches()),
      static_cast<long long>(batches));
}

void take_changes(const TrainingJob& asked, Options* options, TrainingJob* resumed) {
  const auto given = [&](const char* option) { return options->given.count(option) != 0; };
  if (given("--replicate-every")) {
    resumed->training.set_replicate_every(asked.training.replicate_every());
    resumed->replicate_auto = asked.replicate_auto;
  }
  if (given("--global-every")) {
    resumed->training.set_global_every(asked.training.global_every());
  }
  if (!given("--partition")) options->partition = resumed->partition;
  if (resumed->workers < 0) return;
  if (!given("--workers")) options->workers = resumed->workers;
  if (!given("--stages")) options->stages = resumed->workers + 1;
}

}  // namespace

Status apply_given(Options* options, TrainingJob* resumed) {
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
               {"--freeze", "/freeze"},
               {"--train", "/train"},
               {"--tie", "/tie"},
               {"--untie", "/untie"},
               {"--lr", "/optimizer/learning_rate"},
               {"--momentum", "/optimizer/momentum"},
               {"--weight-decay", "/optimizer/weight_decay"},
               {"--nesterov", "/optimizer/nesterov"}};
  Options own_schedule = *options;
  if (options->given.count("--schedule") == 0) {
    own_schedule.sync = job.training.schedule() == net::kSync;
  }
  TrainingJob asked;
  take_options(own_schedule, &asked);
  const Json own = to_json(job);
  const Json wanted = to_json(asked);
  for (const auto& [option, key] : kKeys) {
    const Json::json_pointer pointer{key};
    if (options->given.count(option) == 0 || own.at(pointer) == wanted.at(pointer)) continue;
    return invalid_error(
        "%s: the run in %s has %s there, not %s; leave it out, or begin another run", option,
        options->run_dir.c_str(), text_of(own.at(pointer)).c_str(),
        text_of(wanted.at(pointer)).c_str());
  }
  FT_RETURN_IF_ERROR(check_batches(*options, job));
  take_changes(asked, options, resumed);
  if (options->model.empty()) return Status();
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(options->model));
  if (sha256(file->bytes()) == job.model_sha) return Status();
  return invalid_error("%s: the run in %s trains another model; give the same file, or none",
                       options->model.c_str(), options->run_dir.c_str());
}

}  // namespace ft
