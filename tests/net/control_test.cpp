// The control codec: round trip of every message, and bytes from an enemy.

#include "net/control.h"

#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <vector>

#include "tests/net/draw.h"

namespace ft {
namespace {

net::Control stamped() {
  net::Control message;
  Envelope envelope{{1, 2, 3}, 5, 77};
  stamp(envelope, &message);
  return message;
}

Result<net::Control> decode(const std::string& bytes) {
  return decode_control(std::as_bytes(std::span(bytes)));
}

Result<net::Control> round_trip(const net::Control& message) {
  return decode(message.SerializeAsString());
}

bool refuses(const net::Control& message, const std::string& field) {
  const Result<net::Control> read = round_trip(message);
  if (read.ok()) return false;
  if (read.status().message().find(field) != std::string::npos) return true;
  MESSAGE("instead: " << read.status().message());
  return false;
}

net::Control sample_hello() {
  net::Control message = stamped();
  net::Hello* hello = message.mutable_hello();
  hello->set_name("pi4-b");
  hello->set_control_endpoint("tcp://10.0.0.2:7001");
  hello->set_bulk_endpoint("tcp://10.0.0.2:7002");
  hello->set_numerics("x86-64 avx2");
  hello->set_held_run(std::string(16, 'r'));
  return message;
}

net::Control sample_assign() {
  net::Control message = stamped();
  net::Assign* assign = message.mutable_assign();
  net::Training* training = assign->mutable_training();
  training->set_schedule(net::kSync);
  training->set_micro_batches(4);
  training->set_batch_size(64);
  training->set_batches(100);
  training->set_batches_per_epoch(10);
  training->mutable_optimizer()->set_learning_rate(0.1F);
  for (int i = 0; i < 3; ++i) {
    net::StageInfo* stage = assign->add_stages();
    stage->set_incarnation(static_cast<uint64_t>(i) + 1);
    stage->set_control_endpoint("tcp://127.0.0.1:1");
    stage->mutable_range()->set_first(i * 4);
    stage->mutable_range()->set_last(i * 4 + 4);
  }
  assign->set_resume_version(-1);
  assign->set_model_sha256(std::string(32, '\xFE'));
  assign->add_fetches()->mutable_snapshot()->set_layer(3);
  for (int layer = 0; layer < 12; ++layer) assign->add_layer_bytes(8);
  assign->add_replicate(2);
  assign->set_heartbeat_us(250'000);
  assign->set_failure_timeout_us(1'000'000);
  return message;
}

net::Control sample_inventory() {
  net::Control message = stamped();
  net::Inventory* inventory = message.mutable_inventory();
  for (int i = 0; i < 20; ++i) {
    net::SnapshotName* name = inventory->add_snapshots();
    name->set_layer(i);
    name->set_version(49);
    name->set_term(2);
  }
  inventory->set_capacity(1.5);
  net::RecordEntry* entry = inventory->mutable_record()->add_entries();
  entry->add_ranges()->set_last(5);
  return message;
}

}  // namespace

TEST_CASE("control: messages are read as they were written") {
  for (const net::Control& message : {sample_hello(), sample_assign(), sample_inventory()}) {
    const Result<net::Control> read = decode(encode_control(message));
    REQUIRE_MESSAGE(read.ok(), read.status().message());
    CHECK(read->SerializeAsString() == message.SerializeAsString());
    CHECK(run_of(*read) == RunId{1, 2, 3});
    CHECK(read->term() == 5);
    CHECK(read->sender() == 77);
  }
}

TEST_CASE("control: a foreign protocol version is named, and only Hello and Refuse come through") {
  net::Control message = sample_assign();
  message.set_protocol(2);
  CHECK(refuses(message, "protocol version 2, this is 1"));
  message = sample_hello();
  message.set_protocol(2);
  const Result<net::Control> read = round_trip(message);
  REQUIRE(read.ok());
  CHECK(read->protocol() == 2);
  message.mutable_refuse()->set_reason("too old");
  CHECK(round_trip(message).ok());
}

TEST_CASE("control: an envelope that cannot be is refused") {
  net::Control message = sample_hello();
  message.clear_sender();
  CHECK(refuses(message, "no sender"));
  message = sample_hello();
  message.set_run("short");
  CHECK(refuses(message, "run id"));
  CHECK(refuses(stamped(), "no body"));
  CHECK(!decode(std::string(kControlBytesMax + 1, '\0')).ok());
  CHECK(!decode("").ok());
}

TEST_CASE("control: fields out of bounds are refused by name") {
  net::Control hello = sample_hello();
  hello.mutable_hello()->set_control_endpoint("tcp://a\nb:1");
  CHECK(refuses(hello, "Hello.control_endpoint"));
  hello.mutable_hello()->set_control_endpoint(std::string(kEndpointBytesMax + 1, 'a'));
  CHECK(refuses(hello, "Hello.control_endpoint"));
  hello = sample_hello();
  hello.mutable_hello()->set_held_run("15 bytes long..");
  CHECK(refuses(hello, "Hello.held_run"));
  hello = sample_hello();
  hello.mutable_hello()->set_name("\x1B[2J");
  CHECK(refuses(hello, "Hello.name"));

  net::Control assign = sample_assign();
  assign.mutable_assign()->mutable_stages(1)->mutable_range()->set_last(3);
  CHECK(refuses(assign, "StageInfo.range"));
  assign.mutable_assign()->mutable_stages(1)->mutable_range()->set_last(kLayersMax + 1);
  CHECK(refuses(assign, "StageInfo.range"));
  assign = sample_assign();
  assign.mutable_assign()->mutable_training()->set_micro_batches(0);
  CHECK(refuses(assign, "Training.micro_batches"));
  assign.mutable_assign()->mutable_training()->set_micro_batches(5);
  CHECK(refuses(assign, "not a multiple"));
  assign = sample_assign();
  assign.mutable_assign()->mutable_training()->set_schedule(static_cast<net::Schedule>(9));
  CHECK(refuses(assign, "Training.schedule"));
  assign = sample_assign();
  assign.mutable_assign()->mutable_training()->mutable_optimizer()->set_momentum(
      std::numeric_limits<float>::quiet_NaN());
  CHECK(refuses(assign, "Training.optimizer"));
  assign = sample_assign();
  while (assign.assign().stages_size() <= kDevicesMax) {
    assign.mutable_assign()->add_stages()->set_incarnation(1);
  }
  CHECK(refuses(assign, "Assign.stages"));
  assign = sample_assign();
  assign.mutable_assign()->mutable_fetches(0)->mutable_snapshot()->set_layer(-1);
  CHECK(refuses(assign, "Assign.fetches"));

  net::Control inventory = sample_inventory();
  inventory.mutable_inventory()->set_capacity(std::numeric_limits<double>::infinity());
  CHECK(refuses(inventory, "Inventory.capacity"));
  inventory = sample_inventory();
  inventory.mutable_inventory()->mutable_record()->mutable_entries(0)->set_first_batch(-1);
  CHECK(refuses(inventory, "RecordEntry.first_batch"));
  net::Control progress = stamped();
  progress.mutable_progress()->add_layer_us(-1);
  CHECK(refuses(progress, "Progress.layer_us"));
  progress.mutable_progress()->set_layer_us(0, std::numeric_limits<float>::quiet_NaN());
  CHECK(refuses(progress, "Progress.layer_us"));
  progress.mutable_progress()->set_layer_us(0, 2 * kTimeUsMax);
  CHECK(refuses(progress, "Progress.layer_us"));
  progress.mutable_progress()->set_layer_us(0, 1);
  CHECK(!refuses(progress, "Progress.layer_us"));
  while (progress.progress().layer_us_size() <= kLayersMax) {
    progress.mutable_progress()->add_layer_us(1);
  }
  CHECK(refuses(progress, "Progress.layer_us"));

  net::Control measured = stamped();
  measured.mutable_measured()->set_times(2 * kTimesMax);
  CHECK(refuses(measured, "Measured.times"));

  net::Control ack = stamped();
  ack.mutable_ack()->set_channel(2);
  CHECK(refuses(ack, "Ack.channel"));
}

TEST_CASE("control: a diverged loss comes through; reasons are made fit to travel") {
  net::Control message = stamped();
  message.mutable_batch_loss()->set_loss_sum(std::nan(""));
  CHECK(round_trip(message).ok());
  message.mutable_failure()->set_reason(std::string(2 * kReasonBytesMax, 'c'));
  CHECK(!round_trip(message).ok());
  message.mutable_failure()->set_reason("a\nb\xFF" + std::string(2 * kReasonBytesMax, 'c'));
  stamp(Envelope{{1}, 1, 1}, &message);
  const Result<net::Control> read = round_trip(message);
  REQUIRE(read.ok());
  CHECK(read->failure().reason().starts_with("a b?cc"));
}

TEST_CASE("control: truncated and damaged messages are refused or consistent, never worse") {
  for (const net::Control& message : {sample_hello(), sample_assign(), sample_inventory()}) {
    const std::string good = encode_control(message);
    for (size_t size = 0; size < good.size(); ++size) (void)decode(good.substr(0, size));
    Draw draw(good.size());
    int accepted = 0;
    for (int i = 0; i < 5000; ++i) {
      std::string bytes = good;
      for (uint64_t flips = 1 + draw.below(6); flips > 0; --flips) {
        bytes[draw.below(bytes.size())] ^= static_cast<char>(1U << draw.below(8));
      }
      const Result<net::Control> read = decode(bytes);
      if (!read.ok()) continue;
      ++accepted;
      REQUIRE(read->sender() != 0);
      REQUIRE(read->body_case() != net::Control::BODY_NOT_SET);
      REQUIRE(encode_control(*read).size() <= kControlBytesMax);
    }
    CHECK(accepted > 100);
    CHECK(accepted < 5000);
  }
}

TEST_CASE("control: noise is refused") {
  Draw draw(3);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(draw.below(200), '\0');
    for (char& c : bytes) c = static_cast<char>(draw.bits());
    REQUIRE(!decode(bytes).ok());
  }
}

}  // namespace ft
