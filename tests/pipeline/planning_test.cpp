// Central and the plan, message by message: who is measured when, and when the pipeline is cut
// again. Layers cost the same everywhere and nothing crosses cuts, so ranges follow speeds.

#include <doctest/doctest.h>

#include "runtime/pipeline/central.h"

namespace {

constexpr int kLayers = 12;
constexpr double kLayerUs = 1000;

// Central, 1, and the stages 2 ..: answers whatever central asks of all of them, at once.
class Cluster {
 public:
  explicit Cluster(ft::CentralOptions options, int stages)
      : layers_(static_cast<int>(options.layer_us.size())), central_(options) {
    for (int i = 0; i < stages; ++i) join();
  }

  static ft::CentralOptions options(int workers, int layers = kLayers) {
    ft::CentralOptions o;
    o.self = 1;
    o.name = "central";
    o.run.fill(7);
    o.workers = workers;
    o.training.set_micro_batches(1);
    o.training.set_schedule(ft::net::kAsync);
    o.training.set_batch_size(4);
    o.training.set_batches(100'000);
    o.training.set_batches_per_epoch(100'000);
    o.training.set_replicate_every(1'000'000);
    o.training.set_global_every(1);
    o.layer_costs.assign(static_cast<size_t>(layers), 1);
    o.layer_bytes.assign(static_cast<size_t>(layers), 8);
    o.partition = ft::Partition::kDynamic;
    o.layer_us.assign(static_cast<size_t>(layers), kLayerUs);
    o.layer_sizes.assign(static_cast<size_t>(layers), {8, 8, 8, 8});
    o.cut_sizes.assign(static_cast<size_t>(layers), {0, 0});
    o.model_sha256 = std::string(32, 'a');
    o.model = ft::make_buffer(8);
    return o;
  }

  void join(double times = 1) {
    const ft::PeerId peer = 2 + times_.size();
    times_.push_back(times);
    ft::net::Control message;
    message.mutable_hello()->set_name("s" + std::to_string(peer));
    tell(peer, message, 0);
  }
  void set_times(ft::PeerId peer, double times) { times_[peer - 2] = times; }

  // Everybody finishes the next batch, in as long as the slowest takes.
  void batch() {
    double longest_us = 0;
    for (const auto& stage : ranges_) longest_us = std::max(longest_us, work_us(stage));
    now_ += static_cast<ft::TimeUs>(longest_us);
    ++batch_;
    for (const auto& stage : std::vector<ft::DeviceReport>(ranges_)) {
      ft::net::Control message;
      message.mutable_progress()->set_version(batch_);
      trained_[stage.incarnation] += work_us(stage);
      const auto us = static_cast<int64_t>(trained_[stage.incarnation]);
      message.mutable_progress()->set_busy_us(us);
      message.mutable_progress()->set_train_us(us);
      for (const double layer_us : layer_us_of(stage)) {
        message.mutable_progress()->add_layer_us(static_cast<float>(layer_us));
      }
      if (stage.incarnation == ranges_.back().incarnation) {
        ft::net::Control loss;
        loss.mutable_batch_loss()->set_batch(batch_);
        loss.mutable_batch_loss()->set_rows(4);
        tell(stage.incarnation, loss, term_);
      }
      tell(stage.incarnation, message, term_);
    }
    heartbeats();
    // A drained pipeline is cut again.
    if (holds_) {
      holds_ = false;
      for (const auto& stage : std::vector<ft::DeviceReport>(ranges_)) hold(stage);
    }
  }

  const std::vector<ft::DeviceReport>& ranges() const { return ranges_; }
  const std::vector<std::string>& reasons() const { return reasons_; }
  int measured(ft::PeerId peer) const {
    const auto found = measured_.find(peer);
    return found == measured_.end() ? 0 : found->second;
  }
  int layers_of(ft::PeerId peer) const {
    for (const auto& stage : ranges_) {
      if (stage.incarnation == peer) return stage.range.count();
    }
    return 0;
  }
  ft::TimeUs now() const { return now_; }
  // It is silent from now on; batches stop until that is noticed.
  void kill(ft::PeerId peer) {
    dead_.insert(peer);
    const size_t before = reasons_.size();
    while (reasons_.size() == before) {
      now_ += 100 * ft::kMillisecondUs;
      heartbeats();
    }
  }
  ft::TimeUs ready_us = 0;  // what each device takes for what it fetches, one after the other
  double noise = 0;         // how far off each batch's work may be
  // What the stages tell of their layers, if they do: by layer of the model.
  std::vector<double> told_layer_us;
  int told_too_many = 0;
  bool tells_nothing = false;  // when it is measured again

 private:
  double times(ft::PeerId peer) const { return peer == 1 ? 1 : times_[peer - 2]; }
  double work_us(const ft::DeviceReport& stage) {
    draw_ = draw_ * 6364136223846793005ULL + 1442695040888963407ULL;
    const double off = noise * (2 * static_cast<double>(draw_ >> 40) / (1 << 24) - 1);
    return kLayerUs * stage.range.count() * times(stage.incarnation) * (1 + off);
  }

  std::vector<double> layer_us_of(const ft::DeviceReport& stage) const {
    if (told_layer_us.empty()) return {};
    std::vector<double> times(told_layer_us.begin() + stage.range.first,
                              told_layer_us.begin() + stage.range.last);
    times.resize(times.size() + static_cast<size_t>(told_too_many), 1.0);
    return times;
  }

  void heartbeats() {
    for (size_t i = 0; i < times_.size(); ++i) {
      ft::net::Control alive;
      alive.mutable_heartbeat();
      tell(2 + i, alive, term_);
    }
    step(ft::TickEvent{});
  }

  void hold(const ft::DeviceReport& stage) {
    for (int layer = stage.range.first; layer < stage.range.last; ++layer) {
      ft::net::Control message;
      ft::net::SnapshotName* name = message.mutable_snapshot_stored()->mutable_snapshot();
      name->set_layer(layer);
      name->set_version(batch_);
      name->set_term(term_);
      message.mutable_snapshot_stored()->set_checksum(1);
      held_.push_back(*name);
      tell(stage.incarnation, message, term_);
    }
  }

  void tell(ft::PeerId from, ft::net::Control message, uint64_t term) {
    if (dead_.count(from) != 0) return;
    message.set_sender(from);
    message.set_term(term);
    step(ft::ControlEvent{from, message});
  }

  void step(const ft::Event& event) {
    for (const ft::Action& action : central_.step(event, now_)) perform(action);
  }

  void perform(const ft::Action& action) {
    if (const auto* journal = std::get_if<ft::WriteJournal>(&action)) {
      term_ = journal->term;
      step(ft::JournalWrittenEvent{journal->term});
    } else if (const auto* load = std::get_if<ft::StartLoad>(&action)) {
      step(ft::LoadResult{load->load, ft::make_buffer(8), ft::make_buffer(8)});
    } else if (const auto* told = std::get_if<ft::Tell>(&action)) {
      const auto* report = std::get_if<ft::ReconfiguredReport>(&told->report);
      if (report == nullptr) return;
      ranges_ = report->stages;
      reasons_.push_back(report->reason);
      batch_ = report->resume_batch - 1;
      trained_.clear();
    } else if (const auto* send = std::get_if<ft::SendControl>(&action)) {
      answer(send->to, send->message);
    }
  }

  void answer(ft::PeerId peer, const ft::net::Control& asked) {
    ft::net::Control message;
    if (asked.has_pause()) {
      message.mutable_inventory();
      for (const auto& name : held_) *message.mutable_inventory()->add_snapshots() = name;
    } else if (asked.has_measure()) {
      ++measured_[peer];
      if (asked.measure().again()) {
        const double times_now = tells_nothing ? 0 : times(peer) / base_[peer];
        message.mutable_measured()->set_times(static_cast<float>(times_now));
      } else {
        for (int i = 0; i < layers_; ++i) {
          message.mutable_measured()->add_layer_us(static_cast<float>(kLayerUs * times(peer)));
        }
        base_[peer] = times(peer);
      }
    } else if (asked.has_assign()) {
      now_ += ready_us;
      message.mutable_ready();
    } else if (asked.has_hold_cut()) {
      holds_ = true;
      return;
    } else {
      return;
    }
    tell(peer, message, term_);
  }

  int layers_;
  ft::Central central_;
  std::vector<double> times_;  // of the stages
  std::set<ft::PeerId> dead_;
  ft::TimeUs now_ = 0;
  uint64_t term_ = 0;
  int64_t batch_ = -1;
  bool holds_ = false;
  std::vector<ft::net::SnapshotName> held_;
  std::vector<ft::DeviceReport> ranges_;
  std::vector<std::string> reasons_;
  std::map<ft::PeerId, int> measured_;
  std::map<ft::PeerId, double> base_;  // as it was measured
  std::map<ft::PeerId, double> trained_;
  uint64_t draw_ = 1;
};

}  // namespace

TEST_CASE(
    "planning: stages are measured before anybody gets layers, and get what fits their speed") {
  Cluster cluster(Cluster::options(2), 0);
  cluster.join(2);
  cluster.join(3);  // times as slow: 1 : 1/2 : 1/3
  REQUIRE(cluster.ranges().size() == 3);
  CHECK(cluster.measured(2) == 1);
  CHECK(cluster.measured(3) == 1);
  CHECK(cluster.layers_of(1) == 7);
  CHECK(cluster.layers_of(2) == 3);
  CHECK(cluster.layers_of(3) == 2);
}

TEST_CASE("planning: a newcomer holds replicas, is measured, and then gets layers") {
  Cluster cluster(Cluster::options(1), 1);
  REQUIRE(cluster.ranges().size() == 2);
  for (int i = 0; i < 5; ++i) cluster.batch();
  cluster.join();
  for (int i = 0; i < 20; ++i) cluster.batch();
  CHECK(cluster.reasons() == std::vector<std::string>{"start", "join", "repartition"});
  CHECK(cluster.layers_of(3) == 4);
}

TEST_CASE("planning: a device whose probes tell nothing is not asked all the time") {
  Cluster cluster(Cluster::options(1), 0);
  cluster.tells_nothing = true;
  cluster.join(1000);
  REQUIRE(cluster.layers_of(2) == 0);
  for (int i = 0; i < 100; ++i) cluster.batch();
  CHECK(cluster.measured(2) <= 2 + cluster.now() / (32 * ft::kSecondUs));
}

TEST_CASE("planning: a device that becomes slow hands over layers, and gets them back") {
  Cluster cluster(Cluster::options(2), 2);
  for (int i = 0; i < 50; ++i) cluster.batch();
  CHECK(cluster.layers_of(3) == 4);
  cluster.set_times(3, 10);
  for (int i = 0; i < 20; ++i) cluster.batch();
  CHECK(cluster.layers_of(3) <= 1);
  cluster.set_times(3, 1);
  for (int i = 0; i < 2000; ++i) cluster.batch();
  CHECK(cluster.layers_of(3) == 4);
  CHECK(cluster.reasons().size() == 3);
}

TEST_CASE("planning: a newcomer is no noise: many moves before it do not keep layers from it") {
  Cluster cluster(Cluster::options(2), 2);
  for (const double times : {10, 1, 10, 1}) {
    cluster.set_times(3, times);
    for (int i = 0; i < 200; ++i) cluster.batch();
  }
  cluster.join();
  for (int i = 0; i < 20; ++i) cluster.batch();
  CHECK(cluster.layers_of(4) == 3);
}

TEST_CASE("planning: after a loss the others share its layers, or for comparison its neighbour") {
  for (const bool takeover : {false, true}) {
    CAPTURE(takeover);
    ft::CentralOptions options = Cluster::options(2);
    options.neighbour_takes_over = takeover;
    Cluster cluster(options, 2);
    for (int i = 0; i < 5; ++i) cluster.batch();
    cluster.kill(2);
    CHECK(cluster.layers_of(1) == (takeover ? 4 : 6));
    CHECK(cluster.layers_of(3) == (takeover ? 8 : 6));
  }
}

TEST_CASE("planning: a small gain must last; then it is taken, once") {
  Cluster cluster(Cluster::options(2, 10 * kLayers), 2);
  for (int i = 0; i < 100; ++i) cluster.batch();
  REQUIRE(cluster.layers_of(3) == 40);
  cluster.set_times(3, 1.09);  // 40 layers take as long as 43.6; 41, 41 and 38 would take 41.4
  const ft::TimeUs began = cluster.now();
  while (cluster.reasons().size() == 1) {
    cluster.batch();
    REQUIRE(cluster.now() < began + 60 * ft::kSecondUs);
  }
  CHECK(cluster.now() > began + 4 * ft::kSecondUs);  // three looks, two seconds apart
  CHECK(cluster.layers_of(3) == 38);
  for (int i = 0; i < 2000; ++i) cluster.batch();
  CHECK(cluster.reasons().size() == 2);
}

TEST_CASE("planning: a move that takes long must pay within a minute") {
  for (const bool slow : {false, true}) {
    CAPTURE(slow);
    Cluster cluster(Cluster::options(2, 10 * kLayers), 2);
    for (int i = 0; i < 100; ++i) cluster.batch();
    cluster.ready_us = slow ? 2 * ft::kSecondUs : 0;
    cluster.set_times(3, 2);  // much slower: a move, which shows how long moves take
    while (cluster.reasons().size() == 1) cluster.batch();
    cluster.set_times(3, 2.2);  // 7 % too slow for its layers now
    for (int i = 0; i < 1500; ++i) cluster.batch();
    CHECK(cluster.reasons().size() == (slow ? 2 : 3));
  }
}

TEST_CASE("planning: a cut follows what stages tell of their layers, if it can be true") {
  for (const int too_many : {0, 1}) {
    CAPTURE(too_many);
    Cluster cluster(Cluster::options(1), 1);
    REQUIRE(cluster.layers_of(1) == 6);
    for (int layer = 0; layer < kLayers; ++layer) {
      cluster.told_layer_us.push_back(layer == 5 ? 5.0 : 1.0);  // half of the first range
    }
    cluster.told_too_many = too_many;
    for (int i = 0; i < 40; ++i) cluster.batch();
    cluster.set_times(2, 0.5);
    while (cluster.reasons().size() == 1) cluster.batch();
    // The first device takes 0.6 for each of five layers and 3 for the sixth, or 1 for all; the
    // second 0.5 for each.
    CHECK(cluster.layers_of(1) == (too_many == 0 ? 5 : 4));
  }
}

TEST_CASE("planning: noise of constant devices cuts nothing after the first ten seconds" *
          doctest::test_suite("long")) {
  for (const int layers : {kLayers, 10 * kLayers}) {
    for (const double noise : {0.02, 0.1, 0.2, 0.3}) {
      CAPTURE(layers);
      CAPTURE(noise);
      Cluster cluster(Cluster::options(3, layers), 3);
      cluster.noise = noise;
      while (cluster.now() < 10 * ft::kSecondUs) cluster.batch();
      const size_t before = cluster.reasons().size();
      while (cluster.now() < 600 * ft::kSecondUs) cluster.batch();
      CHECK(cluster.reasons().size() == before);
    }
  }
}
