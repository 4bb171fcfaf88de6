#include "tests/sim/process.h"

#include <algorithm>

#include "tests/sim/narration.h"

namespace ft::sim {
namespace {

constexpr TimeUs kTickUs = 20 * kMillisecondUs;
constexpr TimeUs kFlushUs = 2 * kSecondUs;
constexpr TimeUs kLoadUs = kMillisecondUs;
constexpr TimeUs kJournalUs = 3 * kMillisecondUs;
constexpr TimeUs kCheckpointUs = 15 * kMillisecondUs;
// A plant that acknowledges what is not synced: the disk catches up that much later.
constexpr TimeUs kUnsyncedUs = 700 * kMillisecondUs;

void plan_dynamically(const RunSpec& spec, CentralOptions* central) {
  const auto layers = static_cast<size_t>(spec.layers);
  central->partition = Partition::kDynamic;
  central->layer_us = layers_us(spec);
  central->layer_sizes.assign(layers, LayerSize{kStateBytes, kStateBytes, 8, 8});
  central->cut_sizes.assign(layers, CutSize{8, 8});
  if (!spec.pace.empty()) {
    const CpuQuota quota = spec.pace.quota(0);
    central->cpu.share = std::min(quota.share, 1.0);
    central->cpu.pause_us = (1 - central->cpu.share) * static_cast<double>(quota.period_us);
    central->layer_us = times(central->layer_us, 1 / spec.pace.speed(0) / central->cpu.share);
    central->layer_sizes = spec.pace.sizes;
    central->cut_sizes = spec.pace.cuts;
  }
  // Task times vary: the least gain makes it cut anew at any moment.
  if (spec.eager)
    central->repartition = RepartitionLimits{.every_us = 10 * kMillisecondUs,
                                             .gain_min = 1e-4,
                                             .errors = 0,
                                             .gain_at_once = 0,
                                             .looks = 1,
                                             .pays = 0,
                                             .first_batches = 0};
}

}  // namespace

Process::Process(Surroundings* surroundings, const ProcessOptions& options)
    : all_(*surroundings),
      options_(options),
      net_(std::make_shared<NetProcess>()),
      executor_(&all_.spec, options.name, &all_.violations),
      tasks_(&all_.spec, options.name, options.serial, &all_.ownership, &all_.violations),
      task_times_(&all_.spec, &all_.world.compute_dice, options.device),
      cpu_(all_.spec.pace.quota(options.device)) {
  woken_at_ = now();
  started_at_ = now();
  all_.names[options.self] = options.name;
  net_->name = options.name;
  net_->host = options.host;
  net_->wake = [this] {
    if (service_due_ || !is_running() || is_paused()) return;
    service_due_ = true;
    all_.world.after(0, [this] { service(); });
  };
  TransportOptions transport;
  transport.self = options.self;
  transport.listen = options.listen;
  auto made = Transport::create(transport, all_.network.open(net_));
  core_ = std::make_unique<NodeCore>(std::move(*made), options.self, this);
}

Process::~Process() {
  if (net_->open) all_.network.close(net_);
}

void Process::run_stage(const std::string& central_endpoint) {
  StageOptions stage;
  stage.self = options_.self;
  stage.hello.set_name(options_.name);
  stage.hello.set_numerics("simulated");
  if (options_.has_model) stage.hello.set_model_sha256(std::string(32, 'm'));
  stage.hello.set_control_endpoint(core_->transport()->control_endpoint());
  stage.hello.set_bulk_endpoint(core_->transport()->bulk_endpoint());
  core_->add_stage(stage, central_endpoint);
  start();
}

void Process::run_central(const CentralSetup& setup) {
  setup_ = setup;
  const RunSpec& spec = all_.spec;
  CentralOptions central;
  central.self = options_.self;
  central.name = options_.name;
  central.run = setup.disk->run;
  if (setup.resume) central.restart = setup.disk->restart();
  central.training = spec.training();
  central.workers = setup.workers;
  central.layer_costs.assign(static_cast<size_t>(spec.layers), 1.0);
  if (!spec.pace.empty()) central.layer_costs = spec.pace.layer_us;
  central.layer_bytes = spec.layer_bytes;
  if (spec.dynamic) plan_dynamically(spec, &central);
  central.model_input = 0;
  central.model_sha256 = std::string(32, 'm');
  central.model = wrap_state({}, spec.model_bytes);
  central.control_endpoint = core_->transport()->control_endpoint();
  central.bulk_endpoint = core_->transport()->bulk_endpoint();
  StageOptions own;
  own.self = options_.self;
  own.hello.set_name(options_.name);
  own.hello.set_numerics("simulated");
  own.hello.set_model_sha256(central.model_sha256);
  own.beside_central = true;
  own.layer_us = central.layer_us;
  own.cpu = central.cpu;
  own.work_per_us = own.cpu.share;
  if (setup.resume) own.store = setup.disk->store();
  if (setup.resume) all_.plant->on_resume(&central, &own);
  all_.records.push_back(std::make_unique<net::Record>(central.restart.record));
  record_ = all_.records.back().get();
  central_ = options_.self;
  core_->add_central(central);
  core_->add_stage(own, "");
  start();
}

void Process::start() {
  all_.world.note(name(), "starts as %lld", static_cast<int64_t>(options_.self % 1000));
  when_running(all_.world.compute_dice.below(kTickUs), [this] { tick(); });
}

// ---- Being driven ----

// Later, unless it is dead by then; a paused process does it when it is woken.
void Process::when_running(TimeUs delay, std::function<void()> what) {
  all_.world.after(delay, [this, what = std::move(what)] {
    if (!is_running()) return;
    if (is_paused()) {
      held_.push_back(what);
    } else {
      what();
    }
  });
}

void Process::service() {
  service_due_ = false;
  if (!is_running() || is_paused()) return;
  core_->transport()->poll(now(), -1, this);
  settle();
}

void Process::tick() {
  if (!core_->is_finished()) core_->tick();
  core_->transport()->poll(now(), -1, this);
  settle();
  when_running(kTickUs, [this] { tick(); });
}

// After everything that it does: what it holds.
void Process::show_held() {
  std::vector<const net::Record*> records;
  for (const auto& record : all_.records) records.push_back(record.get());
  const int64_t checkpoint = is_central() ? setup_.disk->checkpoint_version() : -1;
  all_.snapshots.look(options_.serial, name(), core_->stage()->snapshots(), is_central(),
                      checkpoint, term_ < all_.newest_term, records);
}

// After everything that is not part of something else: whether it is done, or has more to do.
void Process::settle() {
  if (core_ == nullptr) return;
  if (net_->unread > 0) net_->wake();
  all_.plant->on_settled(*this);
  if (core_->stage()->term() == 0) tasks_.forgot();
  show_held();
  if (!core_->is_finished() || status_known_) return;
  status_known_ = true;
  status_ = core_->status();
  if (const Complete* complete = core_->complete()) {
    complete_ = *complete;
    final_snapshots_ = core_->snapshots(complete->version, complete->term);
    if (complete->version >= 0 && setup_.disk->checkpoint_version() != complete->version) {
      all_.violations.add("central ends before its last state is on the disk");
    }
  }
  all_.world.note(name(), "is done, code %lld", static_cast<int64_t>(status_.code()));
  when_running(kFlushUs, [this] { end(); });
}

void Process::end() {
  all_.world.note(name(), "ends");
  ended_ = true;
  all_.network.close(net_);
  all_.snapshots.gone(options_.serial);
  core_.reset();
}

// ---- Faults ----

void Process::kill(bool silent) {
  if (!is_running()) return;
  all_.world.note(name(), silent ? "loses power" : "is killed");
  killed_ = true;
  net_->silent = silent;
  all_.network.close(net_);
  all_.snapshots.gone(options_.serial);
  core_.reset();
  if (!is_central()) return;
  all_.ownership.central_died(options_.serial);
  // The line that is being written may have reached the disk, or not.
  if (!lines_.empty() && all_.world.compute_dice.chance(50)) {
    setup_.disk->run = lines_.front().run;
    setup_.disk->journal.push_back(lines_.front().line);
  }
  if (!silent || !all_.world.compute_dice.chance(50)) return;
  const int64_t lost = all_.world.compute_dice.below(4);
  for (int64_t i = 0; i < lost && !setup_.disk->events.empty(); ++i) {
    setup_.disk->events.pop_back();
    setup_.disk->lost_events = true;
  }
  setup_.reports->forget();
}

void Process::pause() {
  if (!is_running() || is_paused()) return;
  all_.world.note(name(), "is paused");
  net_->paused = true;
}

void Process::wake() {
  if (!is_running() || !is_paused()) return;
  all_.world.note(name(), "wakes up");
  net_->paused = false;
  woken_at_ = now();
  all_.network.woken(net_);
  // It slept in the middle of its wait, or just before it looked at the clock.
  const bool messages_first = all_.world.compute_dice.chance(50);
  if (messages_first) service();
  std::deque<std::function<void()>> held;
  held.swap(held_);
  for (const auto& what : held) {
    if (is_running()) what();
  }
  if (is_running()) net_->wake();
}

void Process::interrupt() {
  if (!is_running() || core_->is_finished()) return;
  all_.world.note(name(), "is asked to leave");
  interrupted_ = true;
  when_running(0, [this] {
    core_->deliver(is_central() ? NodeCore::Machine::kCentral : NodeCore::Machine::kStage,
                   InterruptEvent{});
    settle();
  });
}

// ---- Outside ----

void Process::start_task(Task task) {
  all_.plant->on_task(*this, &task);
  narrate(&all_.world, name(), task);
  tasks_.started(task);
  const TaskTime time = task_times_.take(task);
  const TaskRun run = cpu_.run(now(), time);
  if (task.kind == TaskKind::kConfigure)
    all_.moment(Moment::kMove, static_cast<int64_t>(task.term));
  when_running(run.ready_at - now(), [this, task = std::move(task), run, used_us = cpu_.used_us()] {
    tasks_.ended();
    TaskResult result = executor_.run(task);
    result.busy_us = run.busy_us;
    result.task_cpu_us = run.cpu_us;
    result.process_cpu_us = used_us;
    if (task.kind == TaskKind::kMeasure) result.layer_us = {task_times_.measured_us(task.layer)};
    if (task.kind == TaskKind::kStep) result.layer_us = task_times_.told_us(task);
    result.work = task_times_.work(run.cpu_us);
    result.cpu_us = static_cast<double>(run.cpu_us);
    result.pauses_us = static_cast<double>(run.busy_us - run.cpu_us);  // mostly one
    result.pauses_us2 = result.pauses_us * result.pauses_us;
    if (task.kind == TaskKind::kStep) all_.moment(Moment::kBatch, task.batch);
    all_.plant->on_result(term_, &result.term);
    core_->deliver(NodeCore::Machine::kStage, std::move(result));
    settle();
  });
}

// One thread loads, journals and writes checkpoints, in the order in which it is asked.
TimeUs Process::data_time(TimeUs takes) {
  takes = takes * all_.world.compute_dice.between(50, 200) / 100;
  data_free_at_ = std::max(data_free_at_, now()) + takes;
  return data_free_at_ - now();
}

void Process::start_load(const Load& load) {
  when_running(data_time(kLoadUs), [this, load] {
    Load asked = load;
    all_.plant->on_load(&asked);
    const bool evaluation = load.kind == LoadKind::kEvaluation;
    LoadResult result;
    result.load = load;
    all_.plant->on_result(term_, &result.load.term);
    const Pace& pace = all_.spec.pace;
    const auto input_bytes =
        pace.empty() ? static_cast<int64_t>(sizeof(Digest)) : pace.cuts[0].forward_bytes;
    result.input = wrap(input_of(evaluation, asked.batch, asked.micro), input_bytes);
    const int64_t rows = evaluation ? all_.spec.rows_of_evaluation(load.batch) : kRows;
    BufferPtr labels = make_buffer(static_cast<size_t>(rows) * sizeof(Digest));
    const Digest digest = labels_of(evaluation, asked.batch, asked.micro);
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(reinterpret_cast<const std::byte*>(&digest), sizeof(digest),
                  labels->data() + static_cast<size_t>(row) * sizeof(digest));
    }
    result.labels = labels;
    core_->deliver(NodeCore::Machine::kCentral, std::move(result));
    settle();
  });
}

void Process::write_journal(const WriteJournal& write) {
  const bool opens = write.term > term_;
  term_ = std::max(term_, write.term);
  all_.newest_term = std::max(all_.newest_term, write.term);
  all_.world.note(name(), "journal, term %lld, %lld entries", static_cast<int64_t>(write.term),
                  write.record.entries_size());
  if (opens) all_.leads(*this);
  led_at_ = now();
  if (opens) all_.snapshots.term_begins();
  all_.moment(opens ? Moment::kOpen : Moment::kSeal, static_cast<int64_t>(write.term));
  lines_.push_back({write.run, {write.term, write.record}});
  *record_ = write.record;
  const auto sync = [this] {
    setup_.disk->run = lines_.front().run;
    setup_.disk->journal.push_back(lines_.front().line);
    lines_.pop_front();
  };
  const bool early = all_.plant->acknowledges_unsynced_journal();
  if (early) when_running(kUnsyncedUs, sync);
  when_running(data_time(kJournalUs), [this, sync, early, opens, term = write.term] {
    if (!early) sync();
    core_->deliver(NodeCore::Machine::kCentral, JournalWrittenEvent{term});
    if (opens) all_.moment(Moment::kPause, static_cast<int64_t>(term));
    settle();
  });
}

void Process::write_checkpoint(const WriteCheckpoint& write,
                               std::vector<ConstBufferPtr> snapshots) {
  all_.world.note(name(), "checkpoint %lld, term %lld", write.version,
                  static_cast<int64_t>(write.term));
  if (snapshots.empty()) {
    all_.violations.add(
        format("checkpoint %lld is not whole at central", static_cast<long long>(write.version)));
  }
  const bool early = all_.plant->acknowledges_unsynced_checkpoint();
  if (all_.plant->writes_checkpoint_in_place()) setup_.disk->checkpoint.reset();
  const auto sync = [this, write, snapshots = std::move(snapshots)] {
    setup_.disk->checkpoint = SimDisk::Checkpoint{write.version, snapshots};
    all_.snapshots.checkpoint_synced(write.version, write.term);
  };
  if (early) when_running(kUnsyncedUs, sync);
  when_running(data_time(kCheckpointUs), [this, sync, early, version = write.version] {
    if (!early) sync();
    core_->deliver(NodeCore::Machine::kCentral, CheckpointWrittenEvent{version});
    settle();
  });
}

void Process::tell(const Report& report) {
  const auto* reconfigured = std::get_if<ReconfiguredReport>(&report);
  if (reconfigured != nullptr) {
    const std::string what = "reconfigured (" + reconfigured->reason + ")";
    all_.world.note(name(), (what + ": term %lld, batch %lld, %lld stages").c_str(),
                    static_cast<int64_t>(reconfigured->term), reconfigured->resume_batch,
                    static_cast<int64_t>(reconfigured->stages.size()));
    replayed_ = std::max(replayed_, reconfigured->replayed);
    repartitions_ += reconfigured->reason == "repartition" ? 1 : 0;
    last_stages_.clear();
    for (const DeviceReport& stage : reconfigured->stages) last_stages_.push_back(stage.name);
    is_waiting_for_layers_ = false;
    led_at_ = now();
    all_.terms.resumed(reconfigured->term, reconfigured->resume_batch - 1,
                       setup_.disk->checkpoint_version(), options_.serial);
    all_.moment(Moment::kResume, static_cast<int64_t>(reconfigured->term));
  } else if (const auto* batch = std::get_if<BatchReport>(&report)) {
    all_.world.note(name(), "batch %lld, replayed %lld", batch->batch, batch->replayed ? 1 : 0);
    all_.leads(*this);
  } else if (const auto* evaluated = std::get_if<EvaluatedReport>(&report)) {
    all_.world.note(name(), "evaluated %lld", evaluated->version);
  } else if (const auto* waiting = std::get_if<WaitingReport>(&report)) {
    all_.world.note(name(), ("waits for layers " + waiting->layers + " at %lld").c_str(),
                    waiting->version);
    is_waiting_for_layers_ = true;
    if (waiting->layers.empty()) all_.violations.add("central waits, but names no layers");
  } else if (const auto* lost = std::get_if<DeviceLostReport>(&report)) {
    std::erase_if(contacts_, [&](PeerId peer) { return all_.names.at(peer) == lost->name; });
    all_.world.note(name(), ("lost " + lost->name + ": " + lost->cause).c_str());
  } else if (const auto* joined = std::get_if<DeviceJoinedReport>(&report)) {
    all_.world.note(name(), ("joined " + joined->name).c_str());
  } else {
    all_.world.note(name(), "tells, kind %lld", static_cast<int64_t>(report.index()));
  }
  reports_told_.push_back({now(), report});
  setup_.disk->events.push_back(report);
  setup_.reports->told(report);
}

// ---- From the transport ----

// What the checkers want to know of the messages that pass.
void Process::hear(PeerId from, const net::Control& message) {
  if (is_central()) contacts_.insert(from);
  term_ = std::max(term_, message.term());
  if (message.has_inventory() && is_central()) {
    all_.terms.inventory(message.term(), message.inventory().checkpoint_batches() - 1);
  } else if (message.has_resume()) {
    record_known_ = message.resume().record();
  } else if (message.has_release()) {
    checkpoint_known_ = std::max(checkpoint_known_, message.release().checkpoint_batches() - 1);
  } else if (message.has_assign()) {
    all_.moment(Moment::kMove, static_cast<int64_t>(message.term()));
  }
}

void Process::on_control(PeerId from, const net::Control& message) {
  narrate(&all_.world, name(), from, message);
  if (message.has_pause() && !is_central()) central_ = from;
  net::Control changed = message;
  const int times = all_.plant->on_control(*this, from, &changed);
  hear(from, changed);
  for (int i = 0; i < times; ++i) core_->on_control(from, changed);
  if (changed.has_release()) show_held();
}

int64_t Process::expected_bytes(PeerId from, const BulkHeader& header) {
  BulkHeader changed = header;
  all_.plant->on_expected(*this, &changed);
  return core_->expected_bytes(from, changed);
}

void Process::on_bulk(PeerId from, const BulkHeader& header, BufferPtr bytes) {
  all_.world.note(name(), "<- bulk of kind %lld from %lld, batch %lld",
                  static_cast<int64_t>(header.name.kind), static_cast<int64_t>(from % 1000),
                  header.name.batch);
  BulkHeader changed = header;
  const int times = all_.plant->on_bulk(*this, from, &changed, bytes);
  for (int i = 0; i < times; ++i) handle_bulk(from, changed, bytes);
}

void Process::handle_bulk(PeerId from, const BulkHeader& header, const BufferPtr& bytes) {
  core_->on_bulk(from, header, bytes);
}

void Process::on_disconnected(PeerId peer) {
  all_.world.note(name(), "disconnected from %lld", static_cast<int64_t>(peer % 1000));
  core_->on_disconnected(peer);
}

}  // namespace ft::sim
