// Central against stages that misbehave, message by message.

#include "runtime/pipeline/central.h"

#include <doctest/doctest.h>

namespace {

ft::CentralOptions options() {
  ft::CentralOptions o;
  o.self = 1;
  o.name = "central";
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

}  // namespace

TEST_CASE("central: a stage with another model is refused and others are waited for") {
  ft::Central central(options());
  const auto refused = central.step(hello(2, std::string(32, 'b')), 0);
  const auto* refuse = sent_to(refused, 2, ft::net::Control::kRefuse);
  REQUIRE(refuse != nullptr);
  CHECK(refuse->refuse().reason().find("model") != std::string::npos);
  CHECK(sent_to(refused, 2, ft::net::Control::kPause) == nullptr);
  const auto accepted = central.step(hello(3), 0);
  CHECK(sent_to(accepted, 3, ft::net::Control::kPause) != nullptr);
}

TEST_CASE("central: messages of strangers and of another term change nothing") {
  ft::Central central(options());
  central.step(hello(2), 0);
  ft::ControlEvent event;
  event.from = 77;
  event.message.mutable_ready();
  CHECK(central.step(event, 0).empty());
  event.from = 2;
  event.message.set_term(99);
  CHECK(central.step(event, 0).empty());
}

TEST_CASE("central: a member that says Hello again has given central up: a new term begins") {
  ft::Central central(options());
  CHECK(sent_to(central.step(hello(2), 0), 2, ft::net::Control::kPause) != nullptr);
  CHECK(sent_to(central.step(hello(2), 0), 2, ft::net::Control::kPause) == nullptr);
  ft::ControlEvent again = hello(2);
  again.message.mutable_hello()->set_held_term(1);
  CHECK(sent_to(central.step(again, 0), 2, ft::net::Control::kPause) != nullptr);
}

TEST_CASE("central: more fixed ranges than devices are refused with both numbers") {
  ft::CentralOptions o = options();
  o.cuts = "1,2";
  ft::Central central(o);
  central.step(hello(2), 0);
  ft::Actions last;
  for (const ft::PeerId peer : {1, 2}) {
    ft::ControlEvent inventory;
    inventory.from = peer;
    inventory.message.set_term(1);
    inventory.message.mutable_inventory();
    last = central.step(inventory, 0);
  }
  const ft::Exit* exit = nullptr;
  for (const ft::Action& action : last) {
    if (const auto* found = std::get_if<ft::Exit>(&action)) exit = found;
  }
  REQUIRE(exit != nullptr);
  CHECK(exit->status.code() == ft::StatusCode::kInvalid);
  CHECK(exit->status.message().find("3 ranges") != std::string::npos);
}
