#include "runtime/node/option_checks.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <unistd.h>

#include "net/control.h"
#include "runtime/base/digest.h"
#include "runtime/node/option_units.h"
#include "runtime/pipeline/cut_interval.h"
#include "runtime/store/run_directory.h"

namespace ft {
namespace {

Result<TimeUs> duration_option(const char* option, const std::string& text) {
  Result<TimeUs> duration = parse_duration(text);
  if (duration.ok() && *duration >= kMillisecondUs) return duration;
  if (duration.ok()) return invalid_error("%s %s: must be at least 1ms", option, text.c_str());
  return invalid_error("%s %s", option, duration.status().message().c_str());
}

bool parse_count(const std::string& text, int64_t* count) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *count);
  return error == std::errc() && rest == end && *count >= 1 && *count <= int64_t{1} << 30;
}

Status check_roles(const RoleChoices& roles) {
  const struct {
    const char* option;
    const std::vector<std::string>& names;
  } lists[] = {{"--freeze", roles.freeze},
               {"--train", roles.train},
               {"--tie", roles.tie},
               {"--untie", roles.untie}};
  for (const auto& [option, names] : lists) {
    if (names.size() > kRoleChoicesMax) {
      return invalid_error("%s: %zu names; at most %zu are read: use * and ?", option, names.size(),
                           kRoleChoicesMax);
    }
    for (const std::string& name : names) {
      if (name.empty() || name.size() > kRoleChoiceBytesMax) {
        return invalid_error("%s: a name has %zu letters; say 1 to %zu, with * and ? for the rest",
                             option, name.size(), kRoleChoiceBytesMax);
      }
    }
  }
  return Status();
}

}  // namespace

Status check_values(const OptionTexts& t, Options* o) {
  o->role = t.role == "central" ? Role::kCentral
            : t.role == "stage" ? Role::kStage
            : t.role == "local" ? Role::kLocal
                                : Role::kSolo;
  o->sync = t.schedule == "sync";
  o->shuffle = t.shuffle == "on";
  o->loss = t.loss == "mse" ? LossKind::kMeanSquaredError : LossKind::kCrossEntropy;
  static constexpr struct {
    const char* name;
    ProgressMode mode;
  } kModes[] = {{"auto", ProgressMode::kAuto},
                {"bar", ProgressMode::kBar},
                {"lines", ProgressMode::kLines},
                {"json", ProgressMode::kJson},
                {"none", ProgressMode::kNone}};
  for (const auto& mode : kModes) {
    if (t.progress == mode.name) o->progress = mode.mode;
  }
  o->json = o->json || o->progress == ProgressMode::kJson;
  if (t.optimizer != "sgd") {
    return invalid_error("--optimizer %s: not available; use sgd", t.optimizer.c_str());
  }
  if (t.lr_schedule != "constant") {
    return invalid_error("--lr-schedule %s: not available; use constant", t.lr_schedule.c_str());
  }
  if (t.wire != "fp32") {
    return invalid_error(
        t.wire == "fp16" && o->sync
            ? "--wire %s: refused with --schedule sync, which promises exact bits; "
              "use fp32"
            : "--wire %s: not available; use fp32",
        t.wire.c_str());
  }
  o->neighbour_takes_over = t.bench_recovery == "respipe";
  if (o->command == Command::kTrain && o->given.contains("--memory")) {
    const Result<int64_t> bytes = parse_bytes(t.memory);
    if (!bytes.ok()) return invalid_error("--memory: %s", bytes.status().message().c_str());
    o->memory_bytes = *bytes;
  }
  for (const std::string& slowdown : t.slowdowns) {
    FT_ASSIGN_OR_RETURN(Slowdown parsed, Slowdown::parse(slowdown));
    o->slowdowns.push_back(std::move(parsed));
  }
  const OptimizerOptions& sgd = o->optimizer;
  if (!std::isfinite(sgd.learning_rate) || sgd.learning_rate < 0) {
    return invalid_error("--lr %g: must be a finite number of at least 0",
                         static_cast<double>(sgd.learning_rate));
  }
  if (!std::isfinite(sgd.momentum) || sgd.momentum < 0 || sgd.momentum >= 1) {
    return invalid_error("--momentum %g: must be at least 0 and below 1",
                         static_cast<double>(sgd.momentum));
  }
  if (!std::isfinite(sgd.weight_decay) || sgd.weight_decay < 0) {
    return invalid_error("--weight-decay %g: must be a finite number of at least 0",
                         static_cast<double>(sgd.weight_decay));
  }
  FT_RETURN_IF_ERROR(check_roles(o->roles));
  if (sgd.nesterov && sgd.momentum == 0) {
    return invalid_error("--nesterov: needs a --momentum above 0");
  }
  if (o->sync && o->batch_size % o->micro_batches != 0) {
    return invalid_error("--micro-batches %d does not divide --batch-size %lld; choose a divisor",
                         o->micro_batches, static_cast<long long>(o->batch_size));
  }
  if (o->sync && o->aggregate_every > 0) {
    return invalid_error("--aggregate-every: belongs to --schedule async; leave it out with sync");
  }
  if (!is_partition(o->partition)) {
    return invalid_error("--partition %s: must be dynamic, even, or fixed:CUTS such as fixed:3,9",
                         o->partition.c_str());
  }
  o->replicate_auto = t.replicate_every == "auto";
  if (o->replicate_auto) {
    o->replicate_every = kCutEveryStart;
  } else if (!parse_count(t.replicate_every, &o->replicate_every)) {
    return invalid_error("--replicate-every %s: must be auto or a number from 1 on",
                         t.replicate_every.c_str());
  }
  RunId discarded{};
  if (!o->discard_run.empty() && !from_hex(o->discard_run, discarded)) {
    return invalid_error("--discard-run %s: must be a run's id, 32 hexadecimal digits",
                         o->discard_run.c_str());
  }
  if (o->insecure && !(o->keys.empty() && o->central_key.empty())) {
    return invalid_error("--insecure is without keys; leave it out, or --keys and --central-key");
  }
  if (!o->central_key.empty() && o->role != Role::kStage) {
    return invalid_error("--central-key is for a stage; central's own key is in --keys");
  }
  FT_ASSIGN_OR_RETURN(o->failure_timeout_us,
                      duration_option("--failure-timeout", t.failure_timeout));
  FT_ASSIGN_OR_RETURN(o->heartbeat_us, duration_option("--heartbeat", t.heartbeat));
  if (o->heartbeat_us * 2 > o->failure_timeout_us) {
    return invalid_error(
        "--heartbeat %s must be at most half of --failure-timeout %s; make it shorter, or the "
        "timeout longer",
        t.heartbeat.c_str(), t.failure_timeout.c_str());
  }
  return Status();
}

bool is_partition(const std::string& text) {
  return text == "dynamic" || text == "even" || text.rfind("fixed:", 0) == 0;
}

Status check_output(const char* option, const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const std::string directory = parent.empty() ? "." : parent;
  if (::access(directory.c_str(), W_OK | X_OK) == 0 && !std::filesystem::is_directory(path)) {
    return Status();
  }
  return invalid_error("%s %s: cannot write there; name a file in a directory that exists", option,
                       path.c_str());
}

Status check_slowdowns(const Options& o) {
  const size_t given = o.slowdowns.size();
  const size_t stages = o.role == Role::kLocal ? static_cast<size_t>(o.stages) : 1;
  if (given <= 1 || given == stages) return Status();
  return invalid_error("--slowdown: %zu values for %zu stage%s; give one for each, or one for all",
                       given, stages, stages == 1 ? "" : "s");
}

Status check_train(Options* o) {
  if (o->profile && !o->model.empty()) return Status();
  if (o->role == Role::kStage) {
    if (!o->resume && o->discard_run.empty()) return Status();
    return invalid_error(
        "--resume and --discard-run are for central; a stage keeps what it holds "
        "of a run by itself");
  }
  if (o->resume && o->run_dir.empty() && o->role != Role::kCentral) {
    return invalid_error("--resume: which run? name its directory with --run-dir");
  }
  // With a run directory, model and data are there.
  if (o->resume && !o->run_dir.empty() && RunDirectory::open(o->run_dir).ok()) return Status();
  if (o->model.empty() && o->resume && !o->run_dir.empty()) {
    return invalid_error(
        "--resume: --run-dir %s holds no run; to go on with what the stages hold, repeat the run's "
        "model and options",
        o->run_dir.c_str());
  }
  if (o->model.empty()) return invalid_error("no model given; usage: ftrun MODEL.onnx [options]");
  // A word that is neither a command nor a model.
  if (!o->model.ends_with(".onnx") && !std::filesystem::exists(o->model)) {
    return invalid_error("%s: no such command or file; see ftrun --help", o->model.c_str());
  }
  if (o->data.empty()) {
    return invalid_error(
        "--data is missing; say fashion-mnist, idx:DIR, cifar10:DIR, npy:X,Y or "
        "synthetic:SHAPE:CLASSES");
  }
  return Status();
}

void set_defaults(Options* o) {
  if (o->name.empty()) {
    char host[256] = {};
    ::gethostname(host, sizeof(host) - 1);
    o->name = host[0] != '\0' ? host : "device";
  }
  // Names travel and end on terminals; a stage of `local` adds a number to it.
  o->name.resize(std::min(o->name.size(), kNameBytesMax - 4));
  std::replace_if(
      o->name.begin(), o->name.end(),
      [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E;
      },
      '?');
  if (o->listen.empty()) {
    o->listen = o->role == Role::kCentral ? "tcp://127.0.0.1:7117" : "tcp://127.0.0.1:*";
  }
}

}  // namespace ft
