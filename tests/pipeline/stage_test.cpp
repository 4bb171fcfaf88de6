// A stage against central's messages, one by one.

#include "runtime/pipeline/stage.h"

#include <doctest/doctest.h>

namespace {

constexpr ft::PeerId kCentral = 1;
constexpr uint64_t kTerm = 4;

ft::ControlEvent from(ft::PeerId peer) {
  ft::ControlEvent event;
  event.from = peer;
  event.message.set_sender(peer);
  event.message.set_term(kTerm);
  return event;
}

int count_fetches(const ft::Actions& actions, ft::PeerId to) {
  int count = 0;
  for (const ft::Action& action : actions) {
    const auto* send = std::get_if<ft::SendControl>(&action);
    count += send != nullptr && send->to == to && send->message.has_fetch_snapshot() ? 1 : 0;
  }
  return count;
}

constexpr ft::PeerId kNext = 3;

ft::BulkEvent bulk_from(ft::PeerId peer, ft::BulkKind kind, int64_t batch) {
  ft::BulkEvent event;
  event.from = peer;
  event.name.kind = kind;
  event.name.batch = batch;
  event.name.item = kind == ft::BulkKind::kGradient ? 1 : 0;
  event.bytes = ft::make_buffer(8);
  return event;
}

// The task that the stage has begun, kForward of batch -1 when none.
ft::Task begun(const ft::Actions& actions) {
  ft::Task task;
  task.batch = -1;
  for (const ft::Action& action : actions) {
    const auto* start = std::get_if<ft::StartTask>(&action);
    if (start != nullptr) task = start->task;
  }
  return task;
}

ft::TaskResult done(const ft::Task& task) {
  ft::TaskResult result;
  result.kind = task.kind;
  result.term = task.term;
  result.batch = task.batch;
  result.version = task.version;
  result.layer = task.layer;
  if (task.kind != ft::TaskKind::kConfigure && task.kind != ft::TaskKind::kStep) {
    result.tensors = {ft::make_buffer(8)};
  }
  return result;
}

// How many layer times the inventory has that answers a pause.
int told_layers(ft::Stage* stage, ft::TimeUs now) {
  ft::ControlEvent pause = from(kCentral);
  pause.message.mutable_pause();
  int told = -1;
  for (const ft::Action& action : stage->step(pause, now)) {
    const auto* send = std::get_if<ft::SendControl>(&action);
    if (send != nullptr && send->message.has_inventory()) {
      told = send->message.inventory().layer_us_size();
    }
  }
  return told;
}

// Ends the task, and snapshots behind it; returns what begins then.
ft::Task finish(ft::Stage* stage, const ft::Task& task) {
  ft::Task next = begun(stage->step(done(task), 0));
  while (next.kind == ft::TaskKind::kSnapshot) next = begun(stage->step(done(next), 0));
  return next;
}

// Central's own, with the model file, at the beginning of a term.
ft::Stage paused_stage() {
  ft::StageOptions options;
  options.self = kCentral;
  options.beside_central = true;
  options.hello.set_model_sha256("m");
  ft::Stage stage(options);
  ft::ControlEvent pause = from(kCentral);
  pause.message.mutable_pause();
  stage.step(pause, 0);
  return stage;
}

// The first of two stages, one layer each, about to train 10 batches.
ft::Stage first_of_two(int batches_per_epoch, const std::vector<int32_t>& gradients = {1}) {
  ft::Stage stage = paused_stage();
  ft::ControlEvent assign = from(kCentral);
  ft::net::Assign* body = assign.message.mutable_assign();
  body->set_central(kCentral);
  body->set_resume_version(-1);
  body->set_model_sha256("m");
  body->set_failure_timeout_us(ft::kSecondUs);
  body->mutable_training()->set_schedule(ft::net::kAsync);
  body->mutable_training()->set_batches(10);
  body->mutable_training()->set_batches_per_epoch(batches_per_epoch);
  body->mutable_training()->set_evaluate(true);
  body->mutable_training()->set_evaluation_batches(1);
  body->mutable_training()->set_evaluation_rows(1);
  body->mutable_training()->set_batch_size(1);
  for (const ft::PeerId peer : {kCentral, kNext}) {
    ft::net::StageInfo* info = body->add_stages();
    info->set_incarnation(peer);
    info->mutable_range()->set_first(peer == kCentral ? 0 : 1);
    info->mutable_range()->set_last(peer == kCentral ? 1 : 2);
    body->add_layer_bytes(8);
  }
  ft::TaskResult configured = done(begun(stage.step(assign, 0)));
  configured.inputs = {0};
  configured.outputs = {1};
  configured.received_gradients = gradients;
  configured.value_bytes = {{0, 8}, {1, 8}};
  configured.layer_bytes = {8, 8};
  stage.step(configured, 0);
  ft::ControlEvent resume = from(kCentral);
  resume.message.mutable_resume();
  stage.step(resume, 0);
  return stage;
}

}  // namespace

// Backward first would leave the next stage without work until this one's whole backward pass and
// step are done.
TEST_CASE("stage: of a forward and a backward pass that may both begin, the forward comes first") {
  ft::Stage stage = first_of_two(10);
  ft::Task task = begun(stage.step(bulk_from(kCentral, ft::BulkKind::kActivation, 0), 0));
  CHECK(task.kind == ft::TaskKind::kForward);
  stage.step(bulk_from(kCentral, ft::BulkKind::kActivation, 1), 0);
  task = begun(stage.step(done(task), 0));
  CHECK((task.kind == ft::TaskKind::kForward && task.batch == 1));
  // Two are in flight: the third waits for the first one's step.
  stage.step(bulk_from(kCentral, ft::BulkKind::kActivation, 2), 0);
  CHECK(begun(stage.step(done(task), 0)).batch == -1);
  task = begun(stage.step(bulk_from(kNext, ft::BulkKind::kGradient, 0), 0));
  CHECK(task.kind == ft::TaskKind::kBackward);
  stage.step(bulk_from(kNext, ft::BulkKind::kGradient, 1), 0);
  task = finish(&stage, task);
  CHECK(task.kind == ft::TaskKind::kStep);
  task = finish(&stage, task);
  CHECK((task.kind == ft::TaskKind::kForward && task.batch == 2));
  task = finish(&stage, task);
  CHECK((task.kind == ft::TaskKind::kBackward && task.batch == 1));
}

// It would run ahead of what the next one takes, and wait for ever for what that did not take.
TEST_CASE("stage: one before which nothing trains waits for the next one all the same") {
  ft::Stage stage = first_of_two(10, {});
  ft::BulkEvent gone = bulk_from(kNext, ft::BulkKind::kGradient, 0);
  gone.name.item = ft::kNoGradient;
  gone.bytes = ft::make_buffer(ft::kNoGradientBytes);
  CHECK(stage.expected_bytes(kNext, gone.name) == ft::kNoGradientBytes);
  ft::Task task = begun(stage.step(bulk_from(kCentral, ft::BulkKind::kActivation, 0), 0));
  stage.step(bulk_from(kCentral, ft::BulkKind::kActivation, 1), 0);
  task = begun(stage.step(done(task), 0));
  CHECK((task.kind == ft::TaskKind::kForward && task.batch == 1));
  CHECK(begun(stage.step(done(task), 0)).batch == -1);
  task = begun(stage.step(gone, 0));
  CHECK((task.kind == ft::TaskKind::kBackward && task.batch == 0));
  CHECK(task.tensors.empty());
}

// With one batch in flight what its backward pass needs lies where an evaluation works.
TEST_CASE("stage: an evaluation waits for what has begun, forward passes wait for it") {
  ft::Stage stage = first_of_two(1);  // an epoch is a batch: each version is evaluated
  ft::Task task = begun(stage.step(bulk_from(kCentral, ft::BulkKind::kActivation, 0), 0));
  stage.step(bulk_from(kCentral, ft::BulkKind::kActivation, 1), 0);
  task = finish(&stage, task);
  CHECK((task.kind == ft::TaskKind::kForward && task.batch == 1));
  finish(&stage, task);
  task = begun(stage.step(bulk_from(kNext, ft::BulkKind::kGradient, 0), 0));
  stage.step(bulk_from(kNext, ft::BulkKind::kGradient, 1), 0);
  stage.step(bulk_from(kCentral, ft::BulkKind::kActivation, 2), 0);
  task = finish(&stage, task);
  CHECK(task.kind == ft::TaskKind::kStep);
  ft::BulkEvent evaluation = bulk_from(kCentral, ft::BulkKind::kEvaluation, 0);
  evaluation.name.version = 0;
  stage.step(evaluation, 0);
  task = finish(&stage, task);
  CHECK((task.kind == ft::TaskKind::kBackward && task.batch == 1));
  task = finish(&stage, task);
  CHECK(task.kind == ft::TaskKind::kStep);
  task = finish(&stage, task);
  CHECK((task.kind == ft::TaskKind::kEvaluate && task.version == 0));
  task = finish(&stage, task);
  CHECK((task.kind == ft::TaskKind::kForward && task.batch == 2));
}

namespace {

// One device alone with one layer, that takes a checkpoint every second batch and evaluates every
// third.
ft::Stage alone(bool overwrites) {
  ft::StageOptions options;
  options.self = kCentral;
  options.beside_central = options.alone = true;
  options.overwrites = overwrites;
  options.hello.set_model_sha256("m");
  ft::Stage stage(options);
  ft::ControlEvent pause = from(kCentral);
  pause.message.mutable_pause();
  stage.step(pause, 0);
  ft::ControlEvent assign = from(kCentral);
  ft::net::Assign* body = assign.message.mutable_assign();
  body->set_central(kCentral);
  body->set_resume_version(-1);
  body->set_model_sha256("m");
  body->set_failure_timeout_us(ft::kSecondUs);
  ft::net::Training* training = body->mutable_training();
  training->set_schedule(ft::net::kAsync);
  training->set_batches(10);
  training->set_batches_per_epoch(3);
  training->set_evaluate(true);
  training->set_evaluation_batches(1);
  training->set_evaluation_rows(1);
  training->set_batch_size(1);
  training->set_replicate_every(2);
  training->set_global_every(1);
  body->add_stages()->set_incarnation(kCentral);
  body->mutable_stages(0)->mutable_range()->set_last(1);
  body->add_layer_bytes(8);
  ft::TaskResult configured = done(begun(stage.step(assign, 0)));
  configured.inputs = {0};
  configured.outputs = {1};
  configured.value_bytes = {{0, 8}, {1, 8}};
  configured.label_row_bytes = 8;
  configured.layer_bytes = {8};
  stage.step(configured, 0);
  ft::ControlEvent resume = from(kCentral);
  resume.message.mutable_resume();
  stage.step(resume, 0);
  return stage;
}

// Hands the stage a batch; returns whether it has begun.
bool begins(ft::Stage* stage, int64_t batch) {
  stage->step(bulk_from(kCentral, ft::BulkKind::kLabels, batch), 0);
  const ft::Task task =
      begun(stage->step(bulk_from(kCentral, ft::BulkKind::kActivation, batch), 0));
  return task.kind == ft::TaskKind::kForward && task.batch == batch;
}

// The rest of a batch that has begun, its snapshots too.
void train(ft::Stage* stage, int64_t batch) {
  ft::Task task;
  task.kind = ft::TaskKind::kForward;
  task.term = kTerm;
  task.batch = batch;
  task = finish(stage, task);
  CHECK(task.kind == ft::TaskKind::kBackward);
  task = finish(stage, task);
  CHECK(task.kind == ft::TaskKind::kStep);
  finish(stage, task);
}

}  // namespace

TEST_CASE(
    "stage: alone it takes only cuts that become checkpoints, and lets go of what is on disk") {
  ft::Stage stage = alone(false);
  for (int64_t batch = 0; batch < 3; ++batch) {
    REQUIRE(begins(&stage, batch));
    train(&stage, batch);
  }
  REQUIRE(stage.snapshots().held().size() == 1);  // not that of the epoch's end, version 2
  CHECK(stage.snapshots().held().begin()->first.version == 1);
  ft::ControlEvent release = from(kCentral);
  release.message.mutable_release()->set_version(2);
  release.message.mutable_release()->set_checkpoint_batches(2);
  stage.step(release, 0);
  CHECK(stage.snapshots().held().empty());
}

TEST_CASE("stage: where memory is limited a batch waits until nobody reads the version before it") {
  ft::Stage stage = alone(true);
  REQUIRE(begins(&stage, 0));
  train(&stage, 0);
  REQUIRE(begins(&stage, 1));
  train(&stage, 1);
  CHECK(!begins(&stage, 2));  // its checkpoint is being written
  ft::ControlEvent release = from(kCentral);
  release.message.mutable_release()->set_version(2);
  const ft::Task next = begun(stage.step(release, 0));
  REQUIRE((next.kind == ft::TaskKind::kForward && next.batch == 2));
  train(&stage, 2);
  CHECK(!begins(&stage, 3));  // it is being evaluated
  ft::ControlEvent evaluated = from(kCentral);
  evaluated.message.mutable_evaluation_done()->set_version(2);
  const ft::Task last = begun(stage.step(evaluated, 0));
  CHECK((last.kind == ft::TaskKind::kForward && last.batch == 3));
}

TEST_CASE(
    "stage: central's own fetches for those who do not reach each other, without layers too") {
  ft::Stage stage = paused_stage();

  // Device 3 lacks layer 0, which only device 2 holds.
  ft::ControlEvent assign = from(kCentral);
  ft::net::Assign* body = assign.message.mutable_assign();
  body->set_central(kCentral);
  body->set_resume_version(9);
  body->set_resume_term(3);
  body->set_failure_timeout_us(ft::kSecondUs);
  body->add_layer_bytes(8);
  body->add_stages()->set_incarnation(3);
  body->mutable_stages(0)->mutable_range()->set_last(1);
  body->add_spares()->set_incarnation(2);
  ft::net::Fetch* fetch = body->add_fetches();
  fetch->mutable_snapshot()->set_version(9);
  fetch->mutable_snapshot()->set_term(3);
  fetch->set_from(2);
  fetch->set_bytes(8);
  CHECK(count_fetches(stage.step(assign, 0), 2) == 1);

  ft::ControlEvent asked = from(3);
  *asked.message.mutable_fetch_snapshot()->mutable_snapshot() = fetch->snapshot();
  stage.step(asked, 0);
  ft::BulkEvent bulk;
  bulk.from = 2;
  bulk.name.kind = ft::BulkKind::kSnapshot;
  bulk.name.version = 9;
  bulk.name.origin_term = 3;
  bulk.bytes = ft::make_buffer(8);
  CHECK(stage.expected_bytes(2, bulk.name) == 8);
  bool relayed = false;
  for (const ft::Action& action : stage.step(bulk, 0)) {
    const auto* send = std::get_if<ft::SendBulk>(&action);
    relayed = relayed || (send != nullptr && send->to == 3);
  }
  CHECK(relayed);
}

TEST_CASE("stage: what its layers take is forgotten with the run that they were measured for") {
  ft::StageOptions options;
  options.self = kNext;
  options.layer_us = {10, 20};
  ft::Stage stage(options);
  CHECK(told_layers(&stage, 0) == 2);
  stage.step(ft::TickEvent{}, 2 * ft::kForgetUs);  // central has been silent, and left nothing
  CHECK(told_layers(&stage, 2 * ft::kForgetUs) == 0);
}
