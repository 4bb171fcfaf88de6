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

}  // namespace

TEST_CASE(
    "stage: central's own fetches for those who do not reach each other, without layers too") {
  ft::StageOptions options;
  options.self = kCentral;
  options.beside_central = true;
  ft::Stage stage(options);
  ft::ControlEvent pause = from(kCentral);
  pause.message.mutable_pause();
  stage.step(pause, 0);

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
