// Central against stages that misbehave, message by message.

#include "runtime/pipeline/central.h"

#include <doctest/doctest.h>

namespace {

ft::CentralOptions options() {
  ft::CentralOptions o;
  o.self = 1;
  o.name = "central";
  o.run.fill(7);
  o.training.set_micro_batches(1);
  o.training.set_batch_size(4);
  o.training.set_batches(10);
  o.training.set_batches_per_epoch(10);
  o.layer_costs = {1, 1, 1};
  o.layer_bytes = {8, 8, 8};
  o.model_sha256 = std::string(32, 'a');
  o.model = ft::make_buffer(8);
  return o;
}

ft::ControlEvent hello(ft::PeerId from, const std::string& sha = "") {
  ft::ControlEvent event;
  event.from = from;
  event.message.set_sender(from);
  event.message.mutable_hello()->set_name("s" + std::to_string(from));
  event.message.mutable_hello()->set_model_sha256(sha);
  return event;
}

const ft::net::Control* sent_to(const ft::Actions& actions, ft::PeerId to,
                                ft::net::Control::BodyCase body) {
  for (const ft::Action& action : actions) {
    const auto* send = std::get_if<ft::SendControl>(&action);
    if (send != nullptr && send->to == to && send->message.body_case() == body) {
      return &send->message;
    }
  }
  return nullptr;
}

const ft::Exit* exit_of(const ft::Actions& actions) {
  for (const ft::Action& action : actions) {
    if (const auto* exit = std::get_if<ft::Exit>(&action)) return exit;
  }
  return nullptr;
}

// The term that central has asked to journal is on disk.
ft::Actions journaled(ft::Central* central, uint64_t term, ft::TimeUs now = 0) {
  return central->step(ft::JournalWrittenEvent{term}, now);
}

ft::ControlEvent from(ft::PeerId peer, uint64_t term) {
  ft::ControlEvent event;
  event.from = peer;
  event.message.set_sender(peer);
  event.message.set_term(term);
  return event;
}

ft::ControlEvent inventory(ft::PeerId peer, uint64_t term) {
  ft::ControlEvent event = from(peer, term);
  event.message.mutable_inventory();
  return event;
}

// Two devices, in training, at term 1.
ft::Central started(const ft::CentralOptions& o = options()) {
  ft::Central central(o);
  central.step(hello(2), 0);
  journaled(&central, 1);
  for (const ft::PeerId peer : {1, 2}) central.step(inventory(peer, 1), 0);
  for (const ft::PeerId peer : {1, 2}) {
    ft::ControlEvent ready = from(peer, 1);
    ready.message.mutable_ready();
    central.step(ready, 0);
  }
  CHECK(sent_to(journaled(&central, 1), 2, ft::net::Control::kResume) != nullptr);
  return central;
}

}  // namespace

TEST_CASE("central: a stage with another model is refused and others are waited for") {
  ft::Central central(options());
  const auto refused = central.step(hello(2, std::string(32, 'b')), 0);
  const auto* refuse = sent_to(refused, 2, ft::net::Control::kRefuse);
  REQUIRE(refuse != nullptr);
  CHECK(refuse->refuse().reason().find("model") != std::string::npos);
  central.step(hello(3), 0);
  CHECK(sent_to(journaled(&central, 1), 3, ft::net::Control::kPause) != nullptr);
}

TEST_CASE("central: nobody hears of a term before it is in the journal") {
  ft::Central central(options());
  const auto begun = central.step(hello(2), 0);
  CHECK(sent_to(begun, 2, ft::net::Control::kPause) == nullptr);
  bool asked = false;
  for (const ft::Action& action : begun) {
    const auto* write = std::get_if<ft::WriteJournal>(&action);
    asked = asked || (write != nullptr && write->term == 1);
  }
  CHECK(asked);
  CHECK(sent_to(journaled(&central, 7), 2, ft::net::Control::kPause) == nullptr);
  CHECK(sent_to(journaled(&central, 1), 2, ft::net::Control::kPause) != nullptr);
}

TEST_CASE("central: messages of strangers and of another term change nothing") {
  ft::Central central(options());
  central.step(hello(2), 0);
  ft::ControlEvent event = from(77, 1);
  event.message.mutable_ready();
  CHECK(central.step(event, 0).empty());
  event.from = 2;
  event.message.set_term(99);
  CHECK(central.step(event, 0).empty());
}

TEST_CASE("central: a member that goes on saying Hello does not hear it and is lost") {
  ft::Central central = started();
  central.step(hello(2), ft::kSecondUs);
  ft::Actions later;
  for (ft::TimeUs now = ft::kSecondUs; now < 5 * ft::kSecondUs; now += 100'000) {
    central.step(hello(2), now);
    later = central.step(ft::TickEvent{}, now);
    if (!later.empty() && std::holds_alternative<ft::DisconnectPeer>(later.front())) break;
  }
  REQUIRE(!later.empty());
  CHECK(std::holds_alternative<ft::DisconnectPeer>(later.front()));
  // A heartbeat says that it hears again.
  ft::Central other = started();
  for (ft::TimeUs now = ft::kSecondUs; now < 5 * ft::kSecondUs; now += 100'000) {
    ft::ControlEvent beat = from(2, 1);
    beat.message.mutable_heartbeat();
    other.step(hello(2), now);
    other.step(beat, now);
    for (const ft::Action& action : other.step(ft::TickEvent{}, now)) {
      CHECK(!std::holds_alternative<ft::DisconnectPeer>(action));
    }
  }
}

TEST_CASE("central: time that it has slept is not held against those who answer") {
  ft::Central central(options());
  central.step(hello(2), 0);
  journaled(&central, 1);
  central.step(ft::TickEvent{}, 1);
  const auto loses = [&central](ft::TimeUs now) {
    for (const ft::Action& action : central.step(ft::TickEvent{}, now)) {
      const auto* tell = std::get_if<ft::Tell>(&action);
      if (tell != nullptr && std::holds_alternative<ft::DeviceLostReport>(tell->report))
        return true;
    }
    return false;
  };
  CHECK(!loses(60 * ft::kSecondUs));
  ft::TimeUs lost_at = 60 * ft::kSecondUs;
  while (!loses(lost_at)) {  // it is alive, and says nothing of what it holds
    lost_at += 100 * ft::kMillisecondUs;
    ft::ControlEvent beat = from(2, 0);
    beat.message.mutable_heartbeat();
    central.step(beat, lost_at);
    REQUIRE(lost_at < 80 * ft::kSecondUs);
  }
  CHECK(lost_at > 62 * ft::kSecondUs);
}

TEST_CASE("central: a higher term of its run means that another central has taken over") {
  ft::CentralOptions o = options();
  for (const bool by_hello : {true, false}) {
    ft::Central central = started(o);
    ft::ControlEvent event = from(by_hello ? 3 : 2, 2);
    if (by_hello) {
      event = hello(3);
      event.message.mutable_hello()->set_held_run(std::string(16, 7));
      event.message.mutable_hello()->set_held_term(2);
    } else {
      event.message.mutable_heartbeat();
      event.message.set_run(std::string(16, 7));
    }
    const ft::Actions actions = central.step(event, 0);
    REQUIRE(exit_of(actions) != nullptr);
    CHECK(exit_of(actions)->status.code() == ft::StatusCode::kRefused);
  }
}

TEST_CASE("central: a stage that holds another run ends the start, unless that run is discarded") {
  ft::CentralOptions o = options();
  ft::ControlEvent event = hello(2);
  event.message.mutable_hello()->set_held_run(std::string(16, '\x0A'));
  {
    ft::Central central(o);
    const ft::Actions actions = central.step(event, 0);
    REQUIRE(exit_of(actions) != nullptr);
    CHECK(exit_of(actions)->status.code() == ft::StatusCode::kRefused);
    const std::string& message = exit_of(actions)->status.message();
    CHECK(message.find("--resume") != std::string::npos);
    CHECK(message.find("--discard-run 0a0a0a0a") != std::string::npos);
  }
  o.discard_run = std::string(16, '\x0A');
  ft::Central central(o);
  const ft::Actions actions = central.step(event, 0);
  CHECK(exit_of(actions) == nullptr);
  CHECK(sent_to(actions, 2, ft::net::Control::kDiscard) != nullptr);
}

TEST_CASE("central: stages of the run with other options than these end a resume") {
  ft::CentralOptions o = options();
  o.run = {};  // the stages know it
  o.restart.resume = true;
  ft::Central central(o);
  ft::ControlEvent event = hello(2);
  event.message.mutable_hello()->set_held_run(std::string(16, 'r'));
  event.message.mutable_hello()->set_held_term(5);
  central.step(event, 0);
  CHECK(sent_to(journaled(&central, 106), 2, ft::net::Control::kPause) != nullptr);
  central.step(inventory(1, 106), 0);
  ft::ControlEvent answer = inventory(2, 106);
  *answer.message.mutable_inventory()->mutable_training() = o.training;
  answer.message.mutable_inventory()->mutable_training()->set_seed(99);
  const ft::Actions actions = central.step(answer, 0);
  REQUIRE(exit_of(actions) != nullptr);
  CHECK(sent_to(actions, 2, ft::net::Control::kFinish) == nullptr);  // it keeps what it holds
  CHECK(exit_of(actions)->status.code() == ft::StatusCode::kInvalid);
  CHECK(exit_of(actions)->status.message().find("--seed (99, not 0)") != std::string::npos);
}

TEST_CASE("central: a resume for which nobody holds a run says so, once") {
  ft::CentralOptions o = options();
  o.run = {};
  o.restart.resume = true;
  ft::Central central(o);
  central.step(hello(2), 0);
  int told = 0;
  for (ft::TimeUs now = 0; now < ft::kSecondUs; now += 100'000) {
    for (const ft::Action& action : central.step(ft::TickEvent{}, now)) {
      const auto* tell = std::get_if<ft::Tell>(&action);
      told += tell != nullptr && std::holds_alternative<ft::WaitingForRunReport>(tell->report);
    }
  }
  CHECK(told == 1);
}

TEST_CASE("central: more fixed ranges than devices are refused with both numbers") {
  ft::CentralOptions o = options();
  o.partition = ft::Partition::kFixed;
  o.cuts = "1,2";
  ft::Central central(o);
  central.step(hello(2), 0);
  journaled(&central, 1);
  central.step(inventory(1, 1), 0);
  const ft::Actions last = central.step(inventory(2, 1), 0);
  REQUIRE(exit_of(last) != nullptr);
  CHECK(exit_of(last)->status.code() == ft::StatusCode::kInvalid);
  CHECK(exit_of(last)->status.message().find("3 ranges") != std::string::npos);
}

TEST_CASE("central: alone it lets its stage go of a checkpoint when that is on disk") {
  ft::CentralOptions o = options();
  o.workers = 0;
  o.alone = true;
  o.training.set_replicate_every(2);
  o.training.set_global_every(1);
  ft::Central central(o);
  central.step(ft::TickEvent{}, 0);
  journaled(&central, 1);
  central.step(inventory(1, 1), 0);
  ft::ControlEvent ready = from(1, 1);
  ready.message.mutable_ready();
  central.step(ready, 0);
  journaled(&central, 1);
  for (int64_t version = 0; version < 2; ++version) {
    ft::ControlEvent loss = from(1, 1);
    loss.message.mutable_batch_loss()->set_batch(version);
    loss.message.mutable_batch_loss()->set_rows(4);
    central.step(loss, 0);
    ft::ControlEvent progress = from(1, 1);
    progress.message.mutable_progress()->set_version(version);
    central.step(progress, 0);
  }
  bool writes = false;
  for (int32_t layer = 0; layer < 3; ++layer) {
    ft::ControlEvent stored = from(1, 1);
    ft::net::SnapshotName* name = stored.message.mutable_snapshot_stored()->mutable_snapshot();
    name->set_layer(layer);
    name->set_version(1);
    name->set_term(1);
    for (const ft::Action& action : central.step(stored, 0)) {
      writes = writes || std::holds_alternative<ft::WriteCheckpoint>(action);
    }
  }
  CHECK(writes);
  const ft::Actions written = central.step(ft::CheckpointWrittenEvent{1}, 0);
  const ft::net::Control* release = sent_to(written, 1, ft::net::Control::kRelease);
  REQUIRE(release != nullptr);
  CHECK(release->release().version() == 2);
  CHECK(release->release().checkpoint_batches() == 2);
}

TEST_CASE("central: a device's memory is asked for its range, its process and its start") {
  ft::CentralOptions o = options();
  o.layer_sizes.assign(3, {8, 8, 8, 8});
  o.cut_sizes.assign(3, {8, 8});
  o.partition = ft::Partition::kEven;
  o.range_bytes = [](const ft::LayerRange& range, int in_flight) {
    return int64_t{1000} * range.count() + in_flight;
  };
  o.process_size = [](const ft::net::Hello& device) {
    return ft::ProcessSize{100 * device.threads(), 5000};
  };
  // The last of two stages with one layer or two: 1001 or 2001 and 200; and 5000 to begin with.
  for (const auto& [memory, stages] : {std::pair(5000, 2), std::pair(4999, 1)}) {
    CAPTURE(memory);
    ft::Central central(o);
    ft::ControlEvent joining = hello(2);
    joining.message.mutable_hello()->set_memory_bytes(memory);
    joining.message.mutable_hello()->set_threads(2);
    central.step(joining, 0);
    journaled(&central, 1);
    central.step(inventory(1, 1), 0);
    const ft::Actions last = central.step(inventory(2, 1), 0);
    const auto* assign = sent_to(last, 2, ft::net::Control::kAssign);
    REQUIRE(assign != nullptr);
    CHECK(assign->assign().stages_size() == stages);
  }
}

TEST_CASE("central: a device without memory for what falls to it gets no layers") {
  ft::CentralOptions o = options();
  o.layer_sizes.assign(3, {1 << 20, 1 << 20, 1 << 20, 1 << 20});
  o.cut_sizes.assign(3, {8, 8});
  for (const ft::Partition partition : {ft::Partition::kEven, ft::Partition::kFixed}) {
    o.partition = partition;
    o.cuts = "1";
    ft::Central central(o);
    ft::ControlEvent small = hello(2);
    small.message.mutable_hello()->set_memory_bytes(100);
    central.step(small, 0);
    journaled(&central, 1);
    central.step(inventory(1, 1), 0);
    const ft::Actions last = central.step(inventory(2, 1), 0);
    if (partition == ft::Partition::kFixed) {
      REQUIRE(exit_of(last) != nullptr);  // what was asked for cannot be
      CHECK(exit_of(last)->status.message().find("memory for layers") != std::string::npos);
    } else {
      const auto* assign = sent_to(last, 2, ft::net::Control::kAssign);
      REQUIRE(assign != nullptr);
      CHECK(assign->assign().stages_size() == 1);
      CHECK(assign->assign().stages(0).incarnation() == 1);
    }
  }
  o.partition = ft::Partition::kEven;
  o.memory_bytes = 1;
  o.workers = 0;
  ft::Central alone(o);
  alone.step(ft::TickEvent{}, 0);
  journaled(&alone, 1);
  const ft::Actions refused = alone.step(inventory(1, 1), 0);
  REQUIRE(exit_of(refused) != nullptr);
  CHECK(exit_of(refused)->status.message().find("central 0.0 MiB") != std::string::npos);
}

namespace {

template <typename T>
const T* told(const ft::Actions& actions) {
  for (const ft::Action& action : actions) {
    const auto* tell = std::get_if<ft::Tell>(&action);
    if (tell != nullptr && std::holds_alternative<T>(tell->report)) {
      return &std::get<T>(tell->report);
    }
  }
  return nullptr;
}

}  // namespace

TEST_CASE("central: a device that was started again takes the place of what it was") {
  ft::Central central = started();
  ft::ControlEvent again = hello(9);
  again.message.mutable_hello()->set_name("s2");
  // A second device of that name while the first one lives.
  {
    ft::Central other = central;
    const ft::Actions joined = other.step(again, 20'000'000);
    CHECK(told<ft::DeviceLostReport>(joined) == nullptr);
    REQUIRE(told<ft::DeviceJoinedReport>(joined) != nullptr);
    CHECK(told<ft::DeviceJoinedReport>(joined)->devices == 3);
  }
  central.step(ft::DisconnectedEvent{2}, 20'000'000);
  const ft::Actions actions = central.step(again, 20'000'000);
  REQUIRE(told<ft::DeviceLostReport>(actions) != nullptr);
  REQUIRE(told<ft::DeviceJoinedReport>(actions) != nullptr);
  CHECK(told<ft::DeviceJoinedReport>(actions)->devices == 2);
  // One new term for both.
  const ft::Actions paused = journaled(&central, 2, 20'000'000);
  CHECK(sent_to(paused, 9, ft::net::Control::kPause) != nullptr);
  CHECK(sent_to(paused, 2, ft::net::Control::kPause) == nullptr);
}

TEST_CASE("central: one that is started again soon has to wait") {
  ft::Central central = started();
  ft::ControlEvent again = hello(9);
  again.message.mutable_hello()->set_name("s2");
  central.step(ft::DisconnectedEvent{2}, ft::kSecondUs);
  const ft::Actions actions = central.step(again, ft::kSecondUs);
  CHECK(told<ft::DeviceLostReport>(actions) != nullptr);
  CHECK(told<ft::DeviceJoinedReport>(actions) == nullptr);
  // Training goes on without it.
  CHECK(sent_to(journaled(&central, 2, ft::kSecondUs), 9, ft::net::Control::kPause) == nullptr);
}
