#include "tests/pipeline/cluster.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace ft::test {
namespace {

constexpr int32_t kInputValue = 0;
constexpr int64_t kRows = 2;

Digest combine(Digest a, Digest b) {
  const auto bits = random_block({a, RandomPurpose::kSynthetic, 7}, 0, b);
  return (static_cast<uint64_t>(bits[0]) << 32) | bits[1];
}

Digest initial_digest(int layer) { return combine(1000, static_cast<Digest>(layer)); }
Digest data_digest(int64_t batch, int32_t micro) {
  return combine(2000 + static_cast<Digest>(batch), static_cast<Digest>(micro));
}

ConstBufferPtr wrap(Digest digest) {
  BufferPtr buffer = make_buffer(sizeof(digest));
  std::memcpy(buffer->data(), &digest, sizeof(digest));
  return buffer;
}

Digest unwrap(const ConstBufferPtr& buffer) {
  Digest digest = 0;
  FT_CHECK(buffer->size() == sizeof(digest));
  std::memcpy(&digest, buffer->data(), sizeof(digest));
  return digest;
}

// The arithmetic of a layer, on digests.
Digest forward(Digest input, Digest weights) { return combine(input, weights); }
Digest backward(Digest gradient, Digest weights) { return combine(gradient, weights + 1); }
Digest add_gradient(Digest sum, Digest gradient) { return combine(sum, gradient + 2); }
Digest step(Digest weights, Digest gradients) { return combine(weights, gradients + 3); }
Digest mean(Digest sum, Digest version) { return combine(sum, version + 4); }

}  // namespace

std::vector<Digest> oracle(const ClusterOptions& options, const net::Record& record) {
  std::map<int64_t, std::vector<Digest>> versions;  // all layers
  for (int layer = 0; layer < options.layers; ++layer) {
    versions[-1].push_back(initial_digest(layer));
  }
  const int32_t micros = options.sync ? options.micro_batches : 1;
  for (int64_t batch = 0; batch < options.batches; ++batch) {
    int entry = 0;
    while (entry + 1 < record.entries_size() && record.entries(entry + 1).first_batch() <= batch) {
      ++entry;
    }
    const auto& ranges = record.entries(entry).ranges();
    const int64_t stages = ranges.size();
    const int64_t resumed = record.entries(entry).first_batch() - 1;
    std::vector<Digest> gradients(static_cast<size_t>(options.layers), 0);
    const auto used = [&](int64_t stage) {
      return options.sync ? batch - 1 : std::max(batch - (stages - stage), resumed);
    };
    for (int32_t micro = 0; micro < micros; ++micro) {
      Digest tensor = data_digest(batch, micro);
      for (int s = 0; s < stages; ++s) {
        for (int l = ranges[s].first(); l < ranges[s].last(); ++l) {
          tensor = forward(tensor, versions[used(s)][l]);
        }
      }
      for (int s = static_cast<int>(stages); s-- > 0;) {
        for (int l = ranges[s].last(); l-- > ranges[s].first();) {
          tensor = backward(tensor, versions[used(s)][l]);
          gradients[l] = add_gradient(gradients[l], tensor);
        }
      }
    }
    std::vector<Digest>& next = versions[batch];
    next.resize(static_cast<size_t>(options.layers));
    for (int s = 0; s < stages; ++s) {
      const int every = options.sync ? 0 : options.aggregate_every;
      for (int l = ranges[s].first(); l < ranges[s].last(); ++l) {
        next[l] = step(versions[batch - 1][l], gradients[l]);
        if (every == 0 || (batch + 1) % every != 0) continue;
        const int64_t from = std::max(batch - (stages - s) + 1, resumed);
        if (from == batch) continue;
        Digest sum = versions[from][l];
        for (int64_t v = from + 1; v <= batch; ++v) sum = mean(sum, versions[v][l]);
        next[l] = sum;
      }
    }
  }
  return versions[options.batches - 1];
}

// One value crosses each cut; its id is the cut's layer.
class FakeExecutor {
 public:
  TaskResult run(const Task& task) {
    TaskResult result;
    result.kind = task.kind;
    result.term = task.term;
    result.batch = task.batch;
    result.micro = task.micro;
    result.version = task.version;
    result.layer = task.layer;
    result.rows = kRows;
    switch (task.kind) {
      case TaskKind::kConfigure:
        configure(task, &result);
        break;
      case TaskKind::kForward: {
        Digest tensor = unwrap(task.tensors.at(0));
        for (int l = range_.first; l < range_.last; ++l) {
          tensor = forward(tensor, versions_.at(task.version).at(l));
        }
        used_[{task.batch, task.micro}] = {task.version, tensor};
        result.tensors = {wrap(tensor)};
        break;
      }
      case TaskKind::kBackward: {
        const auto [version, output] = used_.at({task.batch, task.micro});
        used_.erase({task.batch, task.micro});
        Digest gradient = task.tensors.empty() ? output : unwrap(task.tensors[0]);
        for (int l = range_.last; l-- > range_.first;) {
          gradient = backward(gradient, versions_.at(version).at(l));
          Digest& sum = gradients_[l];
          sum = add_gradient(task.micro == 0 ? 0 : sum, gradient);
        }
        result.tensors = {wrap(gradient)};
        break;
      }
      case TaskKind::kStep:
        make_version(task);
        break;
      case TaskKind::kEvaluate:
        // The cut must still be here, and whole.
        FT_CHECK(versions_.count(task.version) == 1);
        result.tensors = {task.tensors.at(0)};
        result.correct = 1;
        break;
      case TaskKind::kSnapshot:
        result.tensors = {wrap(versions_.at(task.version).at(task.layer))};
        break;
    }
    return result;
  }

 private:
  void configure(const Task& task, TaskResult* result) {
    const auto& range = task.assign.stages(task.stage).range();
    range_ = {range.first(), range.last()};
    versions_.clear();
    used_.clear();
    for (int l = range_.first; l < range_.last; ++l) {
      const ConstBufferPtr& snapshot = task.snapshots.at(static_cast<size_t>(l - range_.first));
      FT_CHECK((snapshot == nullptr) == (task.version < 0));
      versions_[task.version][l] = snapshot == nullptr ? initial_digest(l) : unwrap(snapshot);
    }
    result->layer_bytes.assign(100, 8);
    result->inputs = {range_.first};
    result->outputs = {range_.last};
    if (task.stage + 1 < task.assign.stages_size()) result->received_gradients = {range_.last};
    if (task.stage > 0) result->sent_gradients = {range_.first};
    result->value_bytes = {{range_.first, 8}, {range_.last, 8}};
    result->label_row_bytes = 4;
  }

  void make_version(const Task& task) {
    std::map<int, Digest>& next = versions_[task.batch];
    for (int l = range_.first; l < range_.last; ++l) {
      next[l] = step(versions_.at(task.batch - 1).at(l), gradients_.at(l));
      if (task.mean_from == task.batch) continue;
      Digest sum = versions_.at(task.mean_from).at(l);
      for (int64_t v = task.mean_from + 1; v <= task.batch; ++v) {
        sum = mean(sum, versions_.at(v).at(l));
      }
      next[l] = sum;
    }
    std::erase_if(versions_, [&](const auto& entry) {
      return entry.first < task.retain_oldest &&
             std::count(task.retain_cuts.begin(), task.retain_cuts.end(), entry.first) == 0;
    });
  }

  LayerRange range_;
  std::map<int64_t, std::map<int, Digest>> versions_;
  std::map<std::pair<int64_t, int32_t>, std::pair<int64_t, Digest>> used_;
  std::map<int, Digest> gradients_;
};

Cluster::~Cluster() = default;

Cluster::Cluster(const ClusterOptions& options) : options_(options) {
  training_.set_schedule(options.sync ? net::kSync : net::kAsync);
  training_.set_micro_batches(options.sync ? options.micro_batches : 1);
  training_.set_aggregate_every(options.aggregate_every);
  training_.set_batch_size(kRows * micro_count(training_));
  training_.set_batches(options.batches);
  training_.set_batches_per_epoch(options.batches_per_epoch);
  training_.set_evaluate(options.evaluation_batches > 0);
  training_.set_evaluation_batches(options.evaluation_batches);
  training_.set_evaluation_rows(options.evaluation_batches * kRows);
  training_.set_replicate_every(options.replicate_every);
  training_.set_global_every(options.global_every);
  run_.fill(9);

  CentralOptions central;
  central.self = 1;
  central.name = "central";
  central.run = run_;
  central.training = training_;
  central.workers = options.stages - 1;
  central.layer_costs.assign(static_cast<size_t>(options.layers), 1.0);
  central.layer_bytes.assign(static_cast<size_t>(options.layers), 8);
  central.model_input = kInputValue;
  central.model_sha256 = std::string(32, 'm');
  central.model = wrap(42);
  central_ = std::make_unique<Central>(central);
  for (PeerId peer = 1; peer <= static_cast<PeerId>(options.stages); ++peer) add_stage(peer);
}

void Cluster::add_stage(PeerId peer) {
  StageOptions stage;
  stage.self = peer;
  stage.beside_central = peer == 1;
  stage.hello.set_name("stage-" + std::to_string(peer));
  if (peer % 2 == 1) stage.hello.set_model_sha256(std::string(32, 'm'));
  nodes_[peer].stage = std::make_unique<Stage>(stage);
  nodes_[peer].executor = std::make_unique<FakeExecutor>();
}

// Everything that the process knew is gone, and what was on its way from and to it.
void Cluster::crash(PeerId peer) {
  nodes_.erase(peer);
  terms_.erase(peer);
  std::erase_if(links_, [peer](const auto& entry) {
    return entry.first.first == peer || entry.first.second.first == peer;
  });
  deliver_central(DisconnectedEvent{peer});
}

uint64_t Cluster::draw(uint64_t bound) {
  return random_block({options_.seed, RandomPurpose::kSynthetic, 8}, 0, draws_++)[0] % bound;
}

void Cluster::deliver_stage(PeerId peer, const Event& event) {
  perform(peer, false, nodes_.at(peer).stage->step(event, now_));
}

void Cluster::deliver_central(const Event& event) { perform(1, true, central_->step(event, now_)); }

void Cluster::perform(PeerId at, bool from_central, Actions actions) {
  const auto fill = [&](net::Control* message) {
    message->set_run(run_.data(), run_.size());
    message->set_term(from_central ? central_term_ : terms_[at]);
    message->set_sender(at);
  };
  for (Action& action : actions) {
    if (auto* hello = std::get_if<SayHello>(&action)) {
      net::Control message;
      message.mutable_hello()->set_name("stage-" + std::to_string(at));
      message.mutable_hello()->set_held_term(hello->held_term);
      message.set_sender(at);
      links_[{at, {1, 0}}].push_back({at, true, ControlEvent{at, message}});
    } else if (auto* term = std::get_if<SetTerm>(&action)) {
      (from_central ? central_term_ : terms_[at]) = term->term;
    } else if (auto* control = std::get_if<SendControl>(&action)) {
      if (nodes_.count(control->to) == 0) continue;
      fill(&control->message);
      const bool to_stage = from_central || control->message.has_fetch_snapshot();
      links_[{at, {control->to, 0}}].push_back({at, !to_stage, ControlEvent{at, control->message}});
    } else if (auto* bulk = std::get_if<SendBulk>(&action)) {
      if (nodes_.count(bulk->to) == 0) continue;
      links_[{at, {bulk->to, 1}}].push_back({at, false, BulkEvent{at, bulk->name, bulk->bytes}});
    } else if (auto* task = std::get_if<StartTask>(&action)) {
      Node& node = nodes_.at(at);
      if (task->task.kind == TaskKind::kConfigure) node.place = task->task.stage;
      const int stage = node.place;
      if (task->task.kind == TaskKind::kForward) ++in_flight_[stage];
      if (task->task.kind == TaskKind::kBackward) --in_flight_[stage];
      in_flight_max_[stage] = std::max(in_flight_max_[stage], in_flight_[stage]);
      node.results.push_back(node.executor->run(task->task));
    } else if (auto* load = std::get_if<StartLoad>(&action)) {
      const Load& l = load->load;
      loads_.push_back({l, wrap(data_digest(l.batch, l.micro)), wrap(7)});
    } else if (auto* journal = std::get_if<WriteJournal>(&action)) {
      record_ = journal->record;
      links_[{1, {1, 2}}].push_back({1, true, JournalWrittenEvent{journal->term}});
    } else if (auto* told = std::get_if<Tell>(&action)) {
      if (auto* batch = std::get_if<BatchReport>(&told->report)) batches_.push_back(*batch);
      if (auto* e = std::get_if<EvaluatedReport>(&told->report)) evaluations_.push_back(*e);
      if (auto* r = std::get_if<ReconfiguredReport>(&told->report)) reconfigurations_.push_back(*r);
    } else if (auto* checkpoint = std::get_if<WriteCheckpoint>(&action)) {
      links_[{1, {1, 3}}].push_back({1, true, CheckpointWrittenEvent{checkpoint->version}});
    } else if (auto* complete = std::get_if<Complete>(&action)) {
      complete_ = *complete;
    } else if (auto* exit = std::get_if<Exit>(&action)) {
      if (from_central) {
        exited_ = true;
        status_ = exit->status;
      } else {
        ++stages_exited_;
      }
    }
  }
}

// One thing happens: a message arrives, a task or a load ends, or time passes.
bool Cluster::step_once() {
  std::vector<std::function<void()>> choices;
  for (auto& [key, link] : links_) {
    if (link.empty()) continue;
    choices.emplace_back([this, &link, to = key.second.first] {
      const Message message = std::move(link.front());
      link.pop_front();
      if (message.to_central) {
        deliver_central(message.event);
      } else {
        deliver_stage(to, message.event);
      }
    });
  }
  for (auto& [peer, node] : nodes_) {
    if (node.results.empty()) continue;
    choices.emplace_back([this, peer = peer, &node] {
      const TaskResult result = std::move(node.results.front());
      node.results.pop_front();
      deliver_stage(peer, result);
    });
  }
  if (!loads_.empty()) {
    choices.emplace_back([this] {
      const LoadResult load = std::move(loads_.front());
      loads_.pop_front();
      deliver_central(load);
    });
  }
  if (choices.empty() || draw(20) == 0) {
    now_ += 5 * kMillisecondUs;
    deliver_central(TickEvent{});
    for (auto& [peer, node] : nodes_) deliver_stage(peer, TickEvent{});
    return !choices.empty();
  }
  choices[draw(choices.size())]();
  return true;
}

bool Cluster::run() {
  int idle = 0;
  int crashes = options_.crashes;
  PeerId newest = static_cast<PeerId>(options_.stages);
  std::vector<int64_t> joins;  // steps at which a fresh stage appears
  for (int64_t steps = 0; !exited_ && idle < 3000 && steps < 400000; ++steps) {
    idle = step_once() ? 0 : idle + 1;
    if (crashes > 0 && !exited_ && !reconfigurations_.empty() && draw(150) == 0 &&
        nodes_.size() > 1) {
      auto victim = std::next(nodes_.begin(), 1 + static_cast<long>(draw(nodes_.size() - 1)));
      crash(victim->first);
      --crashes;
      if (options_.join_after > 0) joins.push_back(steps + options_.join_after);
    }
    if (!joins.empty() && steps >= joins.front()) {
      joins.erase(joins.begin());
      add_stage(++newest);
    }
  }
  // Central has spoken its last word; let it arrive.
  for (int i = 0; i < 10000 && stages_exited_ < options_.stages - 1; ++i) step_once();
  return exited_;
}

std::vector<Digest> Cluster::final_digests() const {
  std::vector<Digest> digests;
  for (int32_t layer = 0; layer < options_.layers; ++layer) {
    const ConstBufferPtr snapshot =
        nodes_.at(1).stage->snapshots().find({complete_.version, layer, complete_.term});
    digests.push_back(snapshot == nullptr ? 0 : unwrap(snapshot));
  }
  return digests;
}

}  // namespace ft::test
