#include "runtime/node/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <unistd.h>

#include "net/control.h"
#include "runtime/base/digest.h"
#include "runtime/node/version.h"
#include "runtime/pipeline/cut_interval.h"
#include "runtime/store/run_directory.h"

namespace ft {
namespace {

constexpr int kThreadsMax = 256;
constexpr int kStagesMax = kDevicesMax;

// What CLI11 fills as text before it is checked.
struct Texts {
  std::string role = "solo";
  std::string schedule = "async";
  std::string shuffle = "on";
  std::string optimizer = "sgd";
  std::string lr_schedule = "constant";
  std::string wire = "fp32";
  std::string loss = "cross-entropy";
  std::string failure_timeout = "1s";
  std::string heartbeat = "250ms";
  std::string progress = "auto";
  std::string replicate_every = "50";
  std::vector<std::string> slowdowns;
  std::string memory;
  std::string bench_recovery = "ftrun";
};

using Choices = std::vector<std::string>;

void add_data(CLI::App* app, Options* o) {
  app->add_option("--data", o->data,
                  "fashion-mnist, idx:DIR, cifar10:DIR, npy:X,Y, synthetic:SHAPE:CLASSES[:COUNT]")
      ->type_name("SPEC");
  app->add_option("--batch-size", o->batch_size, "Samples per batch")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  app->add_option("--seed", o->seed, "Decides order, dropout and synthetic data")
      ->check([](const std::string& text) {
        uint64_t seed = 0;
        const char* end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, seed);
        return error == std::errc() && rest == end
                   ? std::string()
                   : "'" + text + "' is no whole number from 0 to 18446744073709551615";
      });
  app->add_option("--threads", o->threads, "Threads for kernels (all cores)")
      ->check(CLI::Range(1, kThreadsMax));
}

void add_cluster(CLI::App* app, Options* o, Texts* t) {
  const char* group = "Cluster";
  app->add_option(
         "--role", t->role,
         "solo: one device; central: waits for stages; stage: serves layers; local: central "
         "and stages as processes of this machine")
      ->check(CLI::IsMember(Choices{"solo", "central", "stage", "local"}))
      ->group(group);
  app->add_option("--stages", o->stages, "local: pipeline stages, central's own included")
      ->check(CLI::Range(1, kStagesMax))
      ->group(group);
  app->add_option("--workers", o->workers, "central: stages to wait for before it starts")
      ->check(CLI::Range(0, kStagesMax - 1))
      ->group(group);
  app->add_option("--listen", o->listen,
                  "tcp://HOST:PORT (central: tcp://127.0.0.1:7117; stage: a free port)")
      ->group(group);
  app->add_option("--central", o->central, "stage: where central listens")->group(group);
  app->add_option("--advertise", o->advertise, "Host name or address to tell the others")
      ->group(group);
  app->add_option("--name", o->name, "This device's name (the host's)")->group(group);
  app->add_option("--partition", o->partition,
                  "dynamic, even, or fixed:3,9 (cuts before layers 3 and 9)")
      ->group(group);
  app->add_option("--memory", t->memory, "What this device has for training, say 512MB (no limit)")
      ->type_name("BYTES")
      ->group(group);
  app->add_option("--failure-timeout", t->failure_timeout, "Silence that counts as a failure")
      ->group(group);
  app->add_option("--heartbeat", t->heartbeat, "Interval of signs of life")->group(group);
  app->add_option(
         "--slowdown", t->slowdowns,
         "Experiments: after each task sleep (X-1) times its CPU time; X is a number, or @FILE "
         "that holds one; a list sets local's stages")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  app->add_flag(
         "--insecure", o->insecure,
         "Endpoints other than loopback without keys: anybody on the network can read, change "
         "and join the run")
      ->group(group);
  app->add_flag("--dies-with-parent", o->dies_with_parent)->group("");
  // For comparisons in benchmarks only: not in --help.
  app->add_option("--bench-recovery", t->bench_recovery)
      ->check(CLI::IsMember(Choices{"ftrun", "respipe"}))
      ->group("");
}

void add_training(CLI::App* app, Options* o, Texts* t) {
  const char* group = "Training";
  app->add_option("--schedule", t->schedule,
                  "async: 1F1B, a step per batch; sync: bit-identical to one device")
      ->check(CLI::IsMember(Choices{"sync", "async"}))
      ->group(group);
  app->add_option("--micro-batches", o->micro_batches, "sync: parts of a batch")
      ->check(CLI::Range(1, 4096))
      ->group(group);
  app->add_option("--aggregate-every", o->aggregate_every,
                  "async: average the stashed versions every K batches (0: off)")
      ->check(CLI::Range(0, 1 << 20))
      ->group(group);
  app->add_option("--epochs", o->epochs, "Passes over the data")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->group(group);
  app->add_option("--batches", o->batches, "Stop after that many batches")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->group(group);
  app->add_option("--shuffle", t->shuffle, "on, or off: samples in file order")
      ->check(CLI::IsMember(Choices{"on", "off"}))
      ->group(group);
  app->add_option("--optimizer", t->optimizer, "sgd")->group(group);
  app->add_option("--lr", o->optimizer.learning_rate, "Learning rate")->group(group);
  app->add_option("--momentum", o->optimizer.momentum, "SGD's momentum")->group(group);
  app->add_flag("--nesterov", o->optimizer.nesterov, "Nesterov's momentum")->group(group);
  app->add_option("--weight-decay", o->optimizer.weight_decay, "L2 decay")->group(group);
  app->add_option("--lr-schedule", t->lr_schedule, "constant")->group(group);
  app->add_option("--wire", t->wire, "Activations and gradients on the wire: fp32")->group(group);
  app->add_option("--loss", t->loss, "Loss on the model's output")
      ->check(CLI::IsMember(Choices{"cross-entropy", "mse"}))
      ->group(group);
  app->add_option("--replicate-every", t->replicate_every,
                  "Batches per cut; auto: so that cuts cost about 1 % of compute time")
      ->group(group);
  app->add_option("--global-every", o->global_every, "Cuts per checkpoint")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->group(group);
}

void add_output(CLI::App* app, Options* o, Texts* t) {
  const char* group = "Output";
  app->add_option("--run-dir", o->run_dir, "Where journal, checkpoint and events go")->group(group);
  app->add_flag("--resume", o->resume,
                "Go on with the run in --run-dir, or with the one that the stages hold")
      ->group(group);
  app->add_option("--discard-run", o->discard_run,
                  "Make stages that hold this unfinished run forget it")
      ->type_name("ID")
      ->group(group);
  app->add_option("--progress", t->progress, "auto, bar, lines, json, none")
      ->check(CLI::IsMember(Choices{"auto", "bar", "lines", "json", "none"}))
      ->group(group);
  app->add_option("--export", o->export_path, "Write the trained model there at the end")
      ->group(group);
  app->add_flag("--profile", o->profile,
                "Instead of training: where the time of a step goes, by operator and by layer")
      ->group(group);
}

// One JSON object on standard output; --progress json says the same, as for training.
void add_json(CLI::App* app, Options* o, Texts* t) {
  app->add_flag("--json", o->json, "As one JSON object");
  app->add_option("--progress", t->progress)
      ->check(CLI::IsMember(Choices{"auto", "bar", "lines", "json", "none"}))
      ->group("");
}

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

Status check_values(const Texts& t, Options* o) {
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
  if (!t.memory.empty()) {
    FT_ASSIGN_OR_RETURN(o->memory_bytes, parse_bytes(t.memory));
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
  if (sgd.nesterov && sgd.momentum == 0) {
    return invalid_error("--nesterov: needs a --momentum above 0");
  }
  if (o->sync && o->batch_size % o->micro_batches != 0) {
    return invalid_error("--micro-batches %d does not divide --batch-size %lld; choose a divisor",
                         o->micro_batches, static_cast<long long>(o->batch_size));
  }
  if (o->sync && o->aggregate_every > 0) {
    return invalid_error("--aggregate-every: belongs to --schedule async");
  }
  const bool fixed = o->partition.rfind("fixed:", 0) == 0;
  if (!fixed && o->partition != "dynamic" && o->partition != "even") {
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
  FT_ASSIGN_OR_RETURN(o->failure_timeout_us,
                      duration_option("--failure-timeout", t.failure_timeout));
  FT_ASSIGN_OR_RETURN(o->heartbeat_us, duration_option("--heartbeat", t.heartbeat));
  if (o->heartbeat_us * 2 > o->failure_timeout_us) {
    return invalid_error("--heartbeat must be at most half of --failure-timeout");
  }
  return Status();
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

}  // namespace

Result<TimeUs> parse_duration(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const std::string unit(rest, end);
  const double scale = unit == "us"   ? 1
                       : unit == "ms" ? 1e3
                       : unit == "s"  ? 1e6
                       : unit == "m"  ? 60e6
                                      : 0;
  if (error != std::errc() || scale == 0 || !(value > 0) || value * scale > 1e12) {
    return invalid_error("'%s' is no duration; write 250ms, 1s or 2.5s", text.c_str());
  }
  return static_cast<TimeUs>(value * scale);
}

Result<int64_t> parse_bytes(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  static constexpr struct {
    const char* unit;
    double bytes;
  } kUnits[] = {{"", 1},
                {"B", 1},
                {"K", 1e3},
                {"KB", 1e3},
                {"KiB", 1024},
                {"M", 1e6},
                {"MB", 1e6},
                {"MiB", 1024.0 * 1024},
                {"G", 1e9},
                {"GB", 1e9},
                {"GiB", 1024.0 * 1024 * 1024}};
  const std::string unit(rest, end);
  for (const auto& known : kUnits) {
    if (error != std::errc() || unit != known.unit || !(value * known.bytes >= 1)) continue;
    if (value * known.bytes > 1e15) break;
    return static_cast<int64_t>(value * known.bytes);
  }
  return invalid_error("'%s' is no size; write 512MB, 64MiB or 2GB", text.c_str());
}

Result<Options> parse_options(int argc, const char* const* argv) {
  Options o;
  Texts t;
  CLI::App app(
      "Trains ONNX models on a handful of unequal devices, as a fault-tolerant pipeline.\n\n"
      "  ftrun MODEL.onnx --data SPEC [--role solo|central|stage|local] [options]\n"
      "  ftrun MODEL.onnx --role stage [--central ENDPOINT]\n"
      "  ftrun inspect MODEL.onnx [--measure]    layers, parameters, FLOPs, bytes at each cut\n"
      "  ftrun plan    MODEL.onnx --devices FILE who would run what, how fast, with what memory\n"
      "  ftrun eval    MODEL.onnx --data SPEC    loss and accuracy\n"
      "  ftrun export  RUN_DIR -o OUT.onnx       trained weights as an inference model\n"
      "  ftrun replay  RUN_DIR                   train again by the run's record, print the hash\n"
      "  ftrun doctor                            what this machine has\n\n"
      "Not yet in this version: keygen.",
      "ftrun");
  app.set_version_flag("--version", version_text());
  app.get_formatter()->column_width(34);
  // Given twice, an option's last value counts, as scripts that append to a command line expect.
  app.option_defaults()->always_capture_default()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);
  app.footer(
      "Exit codes: 0 done, 1 training failed, 2 bad usage, model or data, 3 refused by the "
      "other side, 130 interrupted.");

  const std::string first = argc > 1 ? argv[1] : "";
  static constexpr struct {
    const char* name;
    Command command;
  } kCommands[] = {{"inspect", Command::kInspect}, {"plan", Command::kPlan},
                   {"eval", Command::kEval},       {"export", Command::kExport},
                   {"replay", Command::kReplay},   {"keygen", Command::kKeygen},
                   {"doctor", Command::kDoctor}};
  for (const auto& known : kCommands) {
    if (first == known.name) o.command = known.command;
  }
  CLI::App* sub = &app;
  if (o.command != Command::kTrain) {
    static constexpr const char* kSummaries[] = {
        "",
        "Layers, parameters, FLOPs, bytes at each cut, unsupported ops",
        "Partition, predicted speed and memory",
        "Loss and accuracy of a model",
        "Trained weights as an inference ONNX model",
        "Train again by a run's record in one process and print weights_sha256",
        "Make a key pair",
        "What this machine has and whether ftrun works on it"};
    sub = app.add_subcommand(first, kSummaries[static_cast<size_t>(o.command)]);
  }
  switch (o.command) {
    case Command::kTrain:
      app.add_option("MODEL.onnx", o.model, "The model, as exported by PyTorch");
      add_data(&app, &o);
      add_cluster(&app, &o, &t);
      add_training(&app, &o, &t);
      add_output(&app, &o, &t);
      break;
    case Command::kInspect:
      sub->add_option("MODEL.onnx", o.model, "The model")->required();
      sub->add_flag("--json", o.json, "As one JSON object");
      sub->add_flag("--measure", o.measure, "And time and memory of each layer on this machine");
      sub->add_option("--batch-size", o.batch_size, "Rows the byte counts are for");
      sub->add_option("--threads", o.threads, "Threads to measure with (all cores)")
          ->check(CLI::Range(1, kThreadsMax));
      break;
    case Command::kPlan:
      sub->add_option("MODEL.onnx", o.model, "The model")->required();
      sub->add_option("--devices", o.devices, "TOML file of devices (docs/planning.md)")
          ->required();
      sub->add_option("--batch-size", o.batch_size, "Samples per batch")
          ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
      sub->add_option("--schedule", t.schedule, "async or sync")
          ->check(CLI::IsMember(Choices{"sync", "async"}));
      sub->add_option("--micro-batches", o.micro_batches, "sync: parts of a batch")
          ->check(CLI::Range(1, 4096));
      sub->add_option("--momentum", o.optimizer.momentum, "SGD's momentum: costs memory");
      sub->add_option("--threads", o.threads, "Threads of each device (all cores)")
          ->check(CLI::Range(1, kThreadsMax));
      add_json(sub, &o, &t);
      break;
    case Command::kEval:
      sub->add_option("MODEL.onnx", o.model, "The model")->required();
      add_data(sub, &o);
      sub->add_option("--loss", t.loss, "cross-entropy or mse")
          ->check(CLI::IsMember(Choices{"cross-entropy", "mse"}));
      sub->add_option("--logits", o.logits, "Write the outputs of all samples as a .npy file");
      add_json(sub, &o, &t);
      break;
    case Command::kExport:
    case Command::kReplay:
      sub->add_option("RUN_DIR", o.run, "A run directory")->required();
      if (o.command == Command::kExport) {
        sub->add_option("-o,--output", o.output, "The file to write")->required();
      } else {
        sub->add_option("--threads", o.threads, "Threads for kernels (all cores)")
            ->check(CLI::Range(1, kThreadsMax));
        add_json(sub, &o, &t);
      }
      break;
    default:
      break;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    o.command = Command::kHelp;
    o.help = app.help();
    return o;
  } catch (const CLI::CallForVersion&) {
    o.command = Command::kHelp;
    o.help = version_text() + "\n";
    return o;
  } catch (const CLI::ParseError& error) {
    return invalid_error("%s; see ftrun %s--help", error.what(),
                         sub == &app ? "" : (first + " ").c_str());
  }
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() > 0) o.given.insert(option->get_name());
  }
  o.epochs_given = o.command == Command::kTrain && app.count("--epochs") > 0;
  FT_RETURN_IF_ERROR(check_values(t, &o));
  if (o.command == Command::kTrain) FT_RETURN_IF_ERROR(check_train(&o));
  if (o.command == Command::kEval && o.data.empty()) return invalid_error("--data is missing");
  set_defaults(&o);
  return o;
}

}  // namespace ft
