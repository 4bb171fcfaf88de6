#include "runtime/node/options.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "net/control.h"
#include "runtime/node/option_checks.h"
#include "runtime/node/version.h"

namespace ft {
namespace {

constexpr int kThreadsMax = 256;
constexpr int kStagesMax = kDevicesMax;

using Choices = std::vector<std::string>;

void add_board(CLI::App* app, Options* o) {
  app->add_option("--board", o->board,
                  "Defaults for this board (docs/boards.md), or none (recognised at start)")
      ->type_name("NAME");
}

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

void add_cluster(CLI::App* app, Options* o, OptionTexts* t) {
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
  app->add_option(
         "--listen", o->listen,
         "tcp://HOST:PORT (central: tcp://127.0.0.1:7117; stage: a free port of the address that "
         "faces central)")
      ->group(group);
  app->add_option("--central", o->central, "stage: where central listens")->group(group);
  app->add_option("--advertise", o->advertise, "Host name or address to tell the others")
      ->group(group);
  app->add_option("--name", o->name, "This device's name (the host's)")->group(group);
  app->add_option("--partition", o->partition,
                  "dynamic, even, or fixed:3,9 (cuts before layers 3 and 9)")
      ->group(group);
  app->add_option("--memory", t->memory,
                  "What this device has for training, say 512MB (no limit); local: each process")
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
  app->add_option("--keys", o->keys, "Where this device's keys are (~/.config/ftrun)")
      ->type_name("DIR")
      ->group(group);
  app->add_option("--central-key", o->central_key,
                  "stage: central's public key (the only line of allowed_keys)")
      ->type_name("KEY")
      ->group(group);
  app->add_flag("--dies-with-parent", o->dies_with_parent)->group("");
  // For comparisons in benchmarks only: not in --help.
  app->add_option("--bench-recovery", t->bench_recovery)
      ->check(CLI::IsMember(Choices{"ftrun", "respipe"}))
      ->group("");
}

// Which tensors train (docs/tensors.md).
void add_roles(CLI::App* app, Options* o) {
  const auto list = [&](const char* option, std::vector<std::string>* names, const char* type,
                        const char* help) {
    app->add_option(option, *names, help)
        ->type_name(type)
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group("Training");
  };
  list("--freeze", &o->roles.freeze, "NAMES",
       "Tensors that do not train; * and ? match as in a shell");
  list("--train", &o->roles.train, "NAMES",
       "Tensors that train, whatever the rules or --freeze say");
  list("--tie", &o->roles.tie, "A=B", "Two tensors that are one; A's values count");
  list("--untie", &o->roles.untie, "NAMES",
       "Tensors of which every node that reads one has its own");
}

void add_training(CLI::App* app, Options* o, OptionTexts* t) {
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

void add_output(CLI::App* app, Options* o, OptionTexts* t) {
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
void add_json(CLI::App* app, Options* o, OptionTexts* t) {
  app->add_flag("--json", o->json, "As one JSON object");
  app->add_option("--progress", t->progress)
      ->check(CLI::IsMember(Choices{"auto", "bar", "lines", "json", "none"}))
      ->group("");
}

}  // namespace

Result<Options> parse_options(int argc, const char* const* argv) {
  Options o;
  OptionTexts t;
  CLI::App app(
      "Trains ONNX models on a handful of unequal devices, as a fault-tolerant pipeline.\n\n"
      "  ftrun MODEL.onnx --data SPEC [--role solo|central|stage|local] [options]\n"
      "  ftrun MODEL.onnx --role stage [--central ENDPOINT]\n"
      "  ftrun inspect MODEL.onnx                layers, parameters, FLOPs, bytes at each cut\n"
      "                                          (--memory, --measure, --json)\n"
      "  ftrun plan    MODEL.onnx --devices FILE who would run what, how fast, with what memory\n"
      "  ftrun eval    MODEL.onnx --data SPEC    loss and accuracy\n"
      "  ftrun export  RUN_DIR -o OUT.onnx       trained weights as an inference model\n"
      "  ftrun replay  RUN_DIR                   train again by the run's record, print the hash\n"
      "  ftrun keygen [--allow NAME=KEY]         this device's key; let another device join\n"
      "  ftrun doctor                            what this machine has",
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
        "Make this device's key pair, or show it; allow other devices",
        "What this machine has and whether ftrun works on it"};
    sub = app.add_subcommand(first, kSummaries[static_cast<size_t>(o.command)]);
  }
  switch (o.command) {
    case Command::kTrain:
      app.add_option("MODEL.onnx", o.model, "The model, as exported by PyTorch");
      add_data(&app, &o);
      add_board(&app, &o);
      add_cluster(&app, &o, &t);
      add_training(&app, &o, &t);
      add_roles(&app, &o);
      add_output(&app, &o, &t);
      break;
    case Command::kInspect:
      sub->add_option("MODEL.onnx", o.model, "The model")->required();
      sub->add_flag("--json", o.json, "As one JSON object");
      sub->add_flag("--measure", o.measure, "And time and memory of each layer on this machine");
      add_board(sub, &o);
      add_roles(sub, &o);
      sub->add_flag("--memory", o.memory, "And what training on one device takes of memory");
      sub->add_option("--data", o.data, "Of --memory: the data set, which is kept in memory");
      sub->add_option("--batch-size", o.batch_size, "Rows the byte counts are for")
          ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
      sub->add_option("--schedule", t.schedule, "Of --memory: async or sync")
          ->check(CLI::IsMember(Choices{"sync", "async"}));
      sub->add_option("--micro-batches", o.micro_batches, "Of --memory with sync: parts of a batch")
          ->check(CLI::Range(1, 4096));
      sub->add_option("--momentum", o.optimizer.momentum, "SGD's momentum: costs memory");
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
      add_roles(sub, &o);
      add_json(sub, &o, &t);
      break;
    case Command::kEval:
      sub->add_option("MODEL.onnx", o.model, "The model")->required();
      add_data(sub, &o);
      add_board(sub, &o);
      sub->add_option("--loss", t.loss, "cross-entropy or mse")
          ->check(CLI::IsMember(Choices{"cross-entropy", "mse"}));
      sub->add_option(
          "--logits", o.logits,
          "Write the outputs of all samples as a .npy file (with cross-entropy: those before a "
          "Softmax at the end)");
      add_json(sub, &o, &t);
      break;
    case Command::kExport:
    case Command::kReplay:
      sub->add_option("RUN_DIR", o.run, "A run directory")->required();
      if (o.command == Command::kExport) {
        sub->add_option("-o,--output", o.output, "The file to write")->required();
      } else {
        add_board(sub, &o);
        sub->add_option("--threads", o.threads, "Threads for kernels (all cores)")
            ->check(CLI::Range(1, kThreadsMax));
        add_json(sub, &o, &t);
      }
      break;
    case Command::kDoctor:
      add_board(sub, &o);
      break;
    case Command::kKeygen:
      sub->add_option("--name", o.name, "What others call this device (the host's name)");
      sub->add_option("--keys", o.keys, "Where its keys are (~/.config/ftrun)")->type_name("DIR");
      sub->add_option("--allow", o.allow, "Let the device of this name and public key join")
          ->type_name("NAME=KEY")
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
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
  for (const CLI::Option* option : sub->get_options()) {
    if (option->count() > 0) o.given.insert(option->get_name());
  }
  o.epochs_given = o.command == Command::kTrain && app.count("--epochs") > 0;
  FT_RETURN_IF_ERROR(check_values(t, &o));
  if (o.command == Command::kTrain) FT_RETURN_IF_ERROR(check_train(&o));
  if (o.command == Command::kEval && o.data.empty()) {
    return invalid_error(
        "--data is missing; say fashion-mnist, idx:DIR, cifar10:DIR, npy:X,Y or "
        "synthetic:SHAPE:CLASSES");
  }
  set_defaults(&o);
  return o;
}

}  // namespace ft
