#include "runtime/node/train.h"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>

#include "net/endpoint.h"
#include "net/zmq_sockets.h"
#include "onnx_import/export.h"
#include "partition/plan.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/node/children.h"
#include "runtime/node/heap.h"
#include "runtime/node/measure_model.h"
#include "runtime/node/memory_rule.h"
#include "runtime/node/node_keys.h"
#include "runtime/node/option_checks.h"
#include "runtime/node/own_address.h"
#include "runtime/node/reactor.h"
#include "runtime/node/resume.h"
#include "runtime/node/run_file.h"
#include "runtime/node/service.h"
#include "runtime/node/training_job.h"
#include "runtime/node/version.h"
#include "runtime/store/checkpoint.h"

namespace ft {
namespace {

WakeFd* g_interrupt = nullptr;
volatile std::sig_atomic_t g_signal = 0;  // the first that came

// The first signal asks for a clean end; the second ends the process.
void on_signal(int signal) {
  std::signal(signal, SIG_DFL);
  if (g_signal == 0) g_signal = signal;
  if (g_interrupt != nullptr) g_interrupt->signal();
}

// As long as it lives the first signal wakes it, and the reactor looks at it when that runs. To be
// made before anything says that ftrun runs, and before there is a run directory.
class Interrupt {
 public:
  explicit Interrupt(bool takes_sigint) {
    g_interrupt = &wake_;
    if (takes_sigint) std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
  }
  ~Interrupt() { g_interrupt = nullptr; }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  WakeFd* wake() { return &wake_; }

 private:
  WakeFd wake_;
};

int thread_count(const Options& options, int processes) {
  if (options.threads > 0) return options.threads;
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return std::max(1, cores / processes);
}

Slowdown slowdown_of(const Options& options, size_t stage) {
  if (options.slowdowns.empty()) return Slowdown();
  return options.slowdowns[std::min(stage, options.slowdowns.size() - 1)];
}

std::string default_run_directory(const std::string& model, const RunId& run) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &local);
  return "ftrun-runs/" + std::filesystem::path(model).stem().string() + "-" + stamp + "-" +
         to_hex(std::span(run).first(3));
}

RunId random_run_id() {
  RunId run;
  for (size_t i = 0; i < run.size(); i += 8) {
    const uint64_t bits = random_u64();
    std::copy_n(reinterpret_cast<const uint8_t*>(&bits), 8, run.begin() + static_cast<long>(i));
  }
  return run;
}

StageOptions stage_options(const Options& options, PeerId self, int threads) {
  StageOptions stage;
  stage.self = self;
  stage.hello.set_name(options.name);
  stage.hello.set_numerics(numerics_text());
  stage.hello.set_threads(threads);
  stage.hello.set_memory_bytes(options.memory_bytes);
  return stage;
}

CentralOptions central_options(const Options& options, const TrainingJob& job, const RunId& run,
                               PeerId self, int workers) {
  CentralOptions central;
  central.self = self;
  central.name = options.name;
  central.run = run;
  central.training = job.training;
  central.replicate_auto = job.replicate_auto;
  // One device alone has nobody to hold replicas: a cut that does not become a checkpoint would
  // only keep a version in memory.
  if (options.role == Role::kSolo && !job.replicate_auto) {
    central.training.set_replicate_every(job.training.replicate_every() *
                                         job.training.global_every());
    central.training.set_global_every(1);
  }
  RunId discarded{};
  if (from_hex(options.discard_run, discarded)) {
    central.discard_run = std::string(discarded.begin(), discarded.end());
  }
  central.workers = workers;
  central.alone = options.role == Role::kSolo;
  central.layer_costs = estimate_layer_costs(*job.model);
  const TrainerOptions trainer = trainer_options(job.training);
  for (int layer = 0; layer < job.model->layer_count(); ++layer) {
    central.layer_bytes.push_back(
        layer_layout(*job.model, layer, trainer.optimizer).snapshot_bytes());
  }
  central.model_input = job.model->input;
  central.model_sha256 = std::string(job.model_sha.begin(), job.model_sha.end());
  // A run on one device alone has nobody who asks for the file.
  central.model = job.model_file == nullptr ? make_buffer(0) : job.model_file;
  central.neighbour_takes_over = options.neighbour_takes_over;
  central.failure_timeout_us = options.failure_timeout_us;
  central.heartbeat_us = options.heartbeat_us;
  return central;
}

// Central's device is measured before training begins, the stages when they have come. The
// processes of `local` are equal, unless --slowdown says otherwise: then nothing is measured, so
// that a run can be repeated exactly, in async too.
Status measure_central(const Options& options, const TrainingJob& job, int threads,
                       CentralOptions* central, StageOptions* own) {
  const bool fixed = options.partition.rfind("fixed:", 0) == 0;
  if (fixed) {
    central->partition = Partition::kFixed;
    central->cuts = options.partition.substr(6);
  }
  const TrainerOptions trainer = trainer_options(job.training);
  FT_ASSIGN_OR_RETURN(ModelSizes sizes, sizes_of(*job.model, trainer));
  central->layer_sizes = std::move(sizes.layers);
  central->cut_sizes = std::move(sizes.cuts);
  central->memory_bytes = options.memory_bytes;
  add_memory_rule(job, threads, central);
  const bool equal = options.role == Role::kLocal && options.slowdowns.empty();
  if (fixed || equal || central->workers == 0) return Status();
  FT_ASSIGN_OR_RETURN(
      const ModelTimes times,
      measure_model(job.model, trainer, threads, slowdown_of(options, 0), options.memory_bytes));
  central->layer_costs = times.layer_us;
  if (options.partition != "dynamic") return Status();
  central->partition = Partition::kDynamic;
  central->layer_us = own->layer_us = times.layer_us;
  central->cpu = own->cpu = times.cpu;
  own->work_per_us = times.work_per_us;
  return Status();
}

// The model's values at a cut. Errors: kFailed when one is not finite.
Result<std::vector<ConstBufferPtr>> values_of(const TrainingJob& job, int64_t version,
                                              const std::vector<ConstBufferPtr>& snapshots) {
  const TrainerOptions trainer = trainer_options(job.training);
  std::vector<LayerLayout> layouts;
  std::vector<LayerState> states;
  for (int layer = 0; layer < job.model->layer_count(); ++layer) {
    layouts.push_back(layer_layout(*job.model, layer, trainer.optimizer));
    FT_ASSIGN_OR_RETURN(LayerState state,
                        from_snapshot(layouts.back(), snapshots[static_cast<size_t>(layer)]));
    FT_RETURN_IF_ERROR(check_finite(*job.model, layer, layouts.back(), *state.snapshot, version));
    states.push_back(std::move(state));
  }
  return values_of_states(*job.model, layouts, states);
}

// What is left when the last state is on the disk: hash and export.
Result<FinishedInfo> finish_run(const Options& options, const TrainingJob& job,
                                const RunDirectory& directory, const Reactor& reactor) {
  const Complete& complete = *reactor.core().complete();
  const std::vector<ConstBufferPtr> snapshots =
      reactor.core().snapshots(complete.version, complete.term);
  FT_CHECK(!snapshots.empty());
  FT_ASSIGN_OR_RETURN(std::vector<ConstBufferPtr> values,
                      values_of(job, complete.version, snapshots));
  FinishedInfo info;
  info.batches = complete.version + 1;
  info.weights_sha256 = weights_sha256(*job.model, values);
  if (options.export_path.empty()) values.clear();
  if (!options.export_path.empty()) {
    FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(directory.file("model.onnx")));
    FT_ASSIGN_OR_RETURN(const std::vector<std::byte> exported,
                        export_model(file->bytes(), *job.model, values));
    FT_RETURN_IF_ERROR(write_file_atomic(options.export_path, exported));
    info.exported = options.export_path;
  }
  return info;
}

// A run that fails leaves the weights of its last checkpoint.
Status with_checkpoint(const Status& ended, const RunDirectory& directory) {
  if (ended.code() != StatusCode::kFailed) return ended;
  if (!std::filesystem::exists(directory.file("checkpoint.ftc"))) return ended;
  return failed_error("%s (the last checkpoint is kept: ftrun export %s -o OUT.onnx)",
                      ended.message().c_str(), directory.path().c_str());
}

FinishedInfo with_run(FinishedInfo info, const Reactor& reactor, const Display& display,
                      TimeUs started) {
  const TimeUs now = monotonic_now_us();
  info.seconds = static_cast<double>(now - started) / 1e6;
  info.images_per_second = display.images_per_second(now);
  info.loss = reactor.last_loss();
  info.exact = reactor.exact();
  if (const EvaluatedReport* evaluated = reactor.last_evaluation()) {
    info.evaluated = true;
    info.accuracy = evaluated->accuracy;
  }
  const net::Traffic& traffic = reactor.core().complete()->traffic;
  info.bytes = {traffic.activations(), traffic.gradients(), traffic.labels(),
                traffic.control(),     traffic.replicas(),  traffic.model()};
  return info;
}

Status interrupted_status(const Options& options, const std::string& what) {
  const char* role = options.role == Role::kCentral ? " --role central"
                     : options.role == Role::kLocal ? " --role local"
                                                    : "";
  const bool listens = options.given.count("--listen") != 0;
  const std::string listen = listens ? " --listen " + options.listen : "";
  return Status(StatusCode::kInterrupted,
                format("%s; go on with: ftrun --resume --run-dir %s%s%s", what.c_str(),
                       options.run_dir.c_str(), role, listen.c_str()));
}

Result<std::unique_ptr<Transport>> make_transport(Options* options, PeerId self) {
  TransportOptions transport;
  FT_ASSIGN_OR_RETURN(transport.keys, keys_for(options));
  const bool far = options->role == Role::kStage && !is_loopback(options->central);
  if (far && !options->given.contains("--listen")) {
    const Result<std::string> address = address_towards(options->central);
    if (!address.ok()) {
      return invalid_error(
          "--central %s; or name with --listen tcp://ADDRESS:* where this device is reached",
          address.status().message().c_str());
    }
    options->listen = make_endpoint(*address, "*");
  }
  transport.self = self;
  transport.listen = options->listen;
  transport.advertise = options->advertise;
  return Transport::create(transport, make_zmq_sockets());
}

// The run's own description when it goes on, else the command line's.
Result<TrainingJob> describe_job(Options* options, const RunDirectory* resumed) {
  if (resumed == nullptr || !resumed->has_run()) return make_job(*options);
  FT_ASSIGN_OR_RETURN(TrainingJob job, load_job(*resumed));
  FT_RETURN_IF_ERROR(apply_given(options, &job));
  return job;
}

Status check_cuts(const Options& options, const TrainingJob& job) {
  if (options.partition.rfind("fixed:", 0) != 0) return Status();
  return ranges_from_cuts(options.partition.substr(6), job.model->layer_count()).status();
}

// solo, central and local: the node that owns the data.
Status train_central(Options options) {
  const TimeUs began = monotonic_now_us();
  if (!options.export_path.empty()) {
    FT_RETURN_IF_ERROR(check_output("--export", options.export_path));
  }
  std::unique_ptr<RunDirectory> directory;
  if (options.resume && !options.run_dir.empty()) {
    FT_ASSIGN_OR_RETURN(directory, RunDirectory::resume(options.run_dir));
  }
  FT_ASSIGN_OR_RETURN(TrainingJob job, describe_job(&options, directory.get()));
  job.model = without_weights(*job.model);
  return_free_pages();
  const bool local = options.role == Role::kLocal;
  const int threads = thread_count(options, local ? options.stages : 1);
  if (options.role == Role::kSolo && options.memory_bytes > 0) {
    FT_RETURN_IF_ERROR(check_alone(job, threads, options.memory_bytes));
  }
  FT_RETURN_IF_ERROR(check_cuts(options, job));
  FT_RETURN_IF_ERROR(check_slowdowns(options));
  const bool found = directory != nullptr && directory->has_run();
  if (options.resume && !found && options.role != Role::kCentral) {
    return invalid_error("--resume: --run-dir %s holds no run; leave --resume out to begin one",
                         options.run_dir.c_str());
  }
  // A run that only stages know names itself when the first of them comes.
  const RunId run = options.resume ? job.run : random_run_id();
  const PeerId self = random_u64() | 1;
  const int workers = options.role == Role::kSolo ? 0
                      : local                     ? options.stages - 1
                                                  : options.workers;
  if (options.run_dir.empty()) options.run_dir = default_run_directory(job.model_path, run);

  Interrupt interrupt(true);
  std::unique_ptr<Transport> transport;
  if (options.role != Role::kSolo) {
    FT_ASSIGN_OR_RETURN(transport, make_transport(&options, self));
  }
  if (directory == nullptr) {
    FT_ASSIGN_OR_RETURN(directory, options.resume ? RunDirectory::resume(options.run_dir)
                                                  : RunDirectory::create(options.run_dir));
  }
  if (!options.resume) FT_RETURN_IF_ERROR(directory->write_run(job_to_json(job, run)));
  if (!found) FT_RETURN_IF_ERROR(directory->write_model(*job.model_file));
  if (options.role == Role::kSolo) job.model_file.reset();

  Display display(options.progress);
  CentralParts parts;
  parts.options = central_options(options, job, run, self, workers);
  StageOptions own = stage_options(options, self, threads);
  FT_RETURN_IF_ERROR(measure_central(options, job, threads, &parts.options, &own));
  ResumedRun resumed;
  if (options.resume) {
    FT_ASSIGN_OR_RETURN(resumed, read_resumed_run(*directory, job, parts.options.layer_bytes));
  }
  parts.options.restart = resumed.restart;
  parts.options.restart.holders_may_come = options.role == Role::kCentral;
  // Nobody is needed to say how a finished run has ended.
  const bool is_over = options.resume && resumed.restart.checkpoint == job.training.batches() - 1;
  if (is_over) {
    parts.options.workers = 0;
    log_info("the run in %s is finished already", options.run_dir.c_str());
  }
  StartedInfo started;
  if (transport) {
    parts.options.control_endpoint = transport->control_endpoint();
    parts.options.bulk_endpoint = transport->bulk_endpoint();
    started.central = transport->control_endpoint();
  }
  parts.dataset = job.dataset.get();
  parts.batch_shape = job.batch_shape();
  parts.directory = directory.get();
  parts.model_sha = job.model_sha;
  parts.display = &display;
  parts.loss_watch = LossWatch(job.training.batch_size());
  if (options.resume) {
    directory->read_losses(
        [&parts](int64_t batch, double loss) { (void)parts.loss_watch.add(batch, loss); });
  }
  parts.describe = [&job](const RunId& id) { return job_to_json(job, id); };
  Children children;
  if (local) parts.children = &children;

  own.hello.set_model_sha256(parts.options.model_sha256);
  own.beside_central = true;
  own.alone = options.role == Role::kSolo;
  own.overwrites = own.alone && options.memory_bytes > 0;
  own.store = std::move(resumed.store);

  started.run = run == RunId{} ? "" : to_hex(run);
  started.model = job.model_path;
  started.data = job.dataset->description();
  started.schedule = job.training.schedule() == net::kSync ? "sync" : "async";
  started.micro_batches = job.training.micro_batches();
  started.batch_size = job.training.batch_size();
  started.batches = job.training.batches();
  started.batches_per_epoch = job.training.batches_per_epoch();
  started.run_directory = options.run_dir;
  started.notes = job.model->notes;
  started.notes.insert(started.notes.end(), job.notes.begin(), job.notes.end());
  FT_RETURN_IF_ERROR(directory->append_event(display.started(started, monotonic_now_us())));

  Reactor reactor(std::move(transport), self, interrupt.wake());
  reactor.add_central(std::move(parts));
  reactor.remember(resumed.progress);
  reactor.add_stage(own,
                    ComputeOptions{threads, slowdown_of(options, 0), job.model_file,
                                   directory->file("model.onnx"), options.memory_bytes, job.model,
                                   own.hello.model_sha256(), import_options(job.training)},
                    "");
  own.store = SnapshotStore();  // the stage's own now
  if (options.resume && !found) {
    log_info("no run in %s: going on with the one that the stages hold", options.run_dir.c_str());
  }
  if (local) {
    for (int i = 1; i < options.stages; ++i) {
      FT_RETURN_IF_ERROR(children.start_stage(options, started.central, i, threads,
                                              slowdown_of(options, static_cast<size_t>(i))));
    }
  } else if (workers > 0 && !is_over && options.progress != ProgressMode::kNone) {
    log_info("waiting for %d stage%s (--workers) at %s", workers, workers == 1 ? "" : "s",
             started.central.c_str());
  }
  const Status ended = reactor.run();
  if (reactor.core().complete() == nullptr) {
    if (ended.code() != StatusCode::kInterrupted) return with_checkpoint(ended, *directory);
    children.kill();
    return interrupted_status(options, ended.message());
  }

  FT_ASSIGN_OR_RETURN(FinishedInfo info, finish_run(options, job, *directory, reactor));
  info = with_run(std::move(info), reactor, display, began);
  info.interrupted = ended.code() == StatusCode::kInterrupted;
  FT_RETURN_IF_ERROR(directory->append_event(display.finished(info)));
  if (!info.interrupted) return ended;
  return interrupted_status(
      options, format("interrupted after batch %lld of %lld", static_cast<long long>(info.batches),
                      static_cast<long long>(job.training.batches())));
}

Status train_stage(Options options) {
  if (options.dies_with_parent) {
    const pid_t parent = ::getppid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (parent != ::getppid() || parent == 1) return failed_error("central's process is gone");
    // A terminal's interrupt is for the parent, which ends its stages when it has finished.
    std::signal(SIGINT, SIG_IGN);
  }
  FT_RETURN_IF_ERROR(check_slowdowns(options));
  Interrupt interrupt(!options.dies_with_parent);
  const PeerId self = random_u64() | 1;
  FT_ASSIGN_OR_RETURN(std::unique_ptr<Transport> transport, make_transport(&options, self));
  const int threads = thread_count(options, 1);
  ComputeOptions compute{
      threads, slowdown_of(options, 0), nullptr, "", options.memory_bytes, nullptr, "", {}};
  StageOptions stage = stage_options(options, self, threads);
  if (!options.model.empty()) {
    FT_ASSIGN_OR_RETURN(compute.model_file, read_file(options.model));
    const Sha256 digest = sha256(compute.model_file->bytes());
    stage.hello.set_model_sha256(std::string(digest.begin(), digest.end()));
  }
  stage.hello.set_control_endpoint(transport->control_endpoint());
  stage.hello.set_bulk_endpoint(transport->bulk_endpoint());
  Reactor reactor(std::move(transport), self, interrupt.wake());
  reactor.add_stage(stage, compute, options.central);
  if (!options.dies_with_parent) {
    log_info("looking for central at %s", options.central.c_str());
    const bool json = options.progress == ProgressMode::kJson;
    reactor.narrate(StageStory(options.name, options.central), json);
  }
  Service service = Service::from_environment();
  service.tell("READY=1\nSTATUS=looking for central at " + options.central);
  reactor.serve(&service);
  const Status ended = reactor.run();
  if (!ended.ok() || g_signal == 0) return ended;
  // SIGTERM asks to leave, and that was done; an interrupt says so in the exit code.
  return g_signal == SIGINT ? Status(StatusCode::kInterrupted, "interrupted") : Status();
}

}  // namespace

Status train(const Options& options) {
  return options.role == Role::kStage ? train_stage(options) : train_central(options);
}

}  // namespace ft
