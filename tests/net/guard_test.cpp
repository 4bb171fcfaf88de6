#include "net/guard.h"

#include <doctest/doctest.h>

#include "net/knock_hint.h"
#include "tests/base/temp_dir.h"

namespace ft {
namespace {

const PublicKey kCentral{1};
const PublicKey kBoard{2};
const PublicKey kStranger{3};

// Central allows kBoard as "board".
struct Fixture {
  TempDir dir;
  TransportKeys central;
  TransportKeys stage;
  Fixture() {
    central.own.public_key = kCentral;
    central.central = kCentral;
    central.devices = *AllowList::read(dir.file("allowed_keys"));
    REQUIRE(central.devices.add("board", kBoard).ok());
    stage.own.public_key = kBoard;
    stage.central = kCentral;
  }
};

net::Control hello(const std::string& name) {
  net::Control message;
  message.mutable_hello()->set_name(name);
  return message;
}

}  // namespace

TEST_CASE("guard: central admits itself and the allowed, a stage only central") {
  const Fixture f;
  Guard central(f.central);
  CHECK(central.admits(kCentral));
  CHECK(central.admits(kBoard));
  CHECK(!central.admits(kStranger));
  CHECK(!central.admits(PublicKey{}));
  Guard stage(f.stage);
  CHECK(stage.admits(kCentral));
  CHECK(!stage.admits(kBoard));
  CHECK(!stage.admits(PublicKey{}));
}

TEST_CASE("guard: a Hello bears the name that its key is allowed as") {
  const Fixture f;
  const Guard central(f.central);
  CHECK(central.objection(hello("board"), kBoard).empty());
  CHECK(central.objection(hello("board"), kStranger).find("not in") != std::string::npos);
  const std::string renamed = central.objection(hello("other"), kBoard);
  CHECK(renamed.find("calls itself other") != std::string::npos);
  CHECK(renamed.find("--name board") != std::string::npos);
  CHECK(central.objection(hello("anything"), kCentral).empty());  // beside central
  CHECK(!Guard(f.stage).objection(hello("board"), kCentral).empty());
}

TEST_CASE("guard: only central's key may pause, refuse and discard") {
  const Fixture f;
  const Guard stage(f.stage);
  net::Control messages[3];
  messages[0].mutable_pause();
  messages[1].mutable_refuse();
  messages[2].mutable_discard();
  for (const net::Control& message : messages) {
    CHECK(stage.objection(message, kCentral).empty());
    CHECK(!stage.objection(message, kBoard).empty());
    CHECK(!stage.objection(message, PublicKey{}).empty());
  }
  net::Control beat;
  beat.mutable_heartbeat();
  CHECK(stage.objection(beat, kBoard).empty());
}

TEST_CASE("guard: who is refused is counted, and told at first and now and then") {
  const Fixture f;
  Guard central(f.central);
  central.refuse_unknown(kStranger, "192.0.2.7", 0);
  std::vector<RefusedPeer> told = central.take_strangers();
  REQUIRE(told.size() == 1);
  const std::string text = text_of(told[0]);
  for (const std::string& part : {fingerprint(kStranger), std::string("192.0.2.7"),
                                  f.dir.file("allowed_keys"), key_text(kStranger)}) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  }
  for (int i = 0; i < 999; ++i) central.refuse_unknown(kStranger, "192.0.2.7", 0);
  told = central.take_strangers();
  CHECK(told.size() == 3);  // 8, 64, 512
  CHECK(told.back().count == 512);
  CHECK(central.refused_count() == 1000);
  // Made-up keys do not fill the screen.
  for (uint8_t i = 0; i < 255; ++i) central.refuse_unknown(PublicKey{9, i}, "", 0);
  CHECK(central.take_strangers().size() < 80);
}

TEST_CASE("guard: a stage waits before it tells, for central may be about to name a member") {
  const Fixture f;
  Guard stage(f.stage);
  stage.refuse_unknown(kStranger, "", 0);
  stage.refuse_unknown(kStranger, "", kSecondUs);
  CHECK(stage.take_strangers().empty());
  stage.refuse_unknown(kStranger, "", 3 * kSecondUs);
  CHECK(stage.take_strangers().size() == 1);
}

TEST_CASE("hint: each cause once, until the connection succeeds") {
  const Fixture f;
  KnockHint hint;
  const auto hear = [&](Refusal refusal, const TransportKeys* keys, TimeUs now = 0) {
    Outbox::Changes changes;
    changes.refusal = refusal;
    return hint.of(changes, "tcp://10.0.0.1:7117", keys, "board", now);
  };
  CHECK(hear(Refusal::kNone, &f.stage).empty());
  const std::string key = hear(Refusal::kKey, &f.stage);
  CHECK(key.find("--allow board=" + key_text(kBoard)) != std::string::npos);
  CHECK(hear(Refusal::kKey, &f.stage).empty());
  CHECK(hear(Refusal::kMechanism, &f.stage).find("does not use keys") != std::string::npos);
  CHECK(hear(Refusal::kClosed, &f.stage, 1).empty());
  CHECK(hear(Refusal::kClosed, &f.stage, 5 * kSecondUs).find(fingerprint(kCentral)) !=
        std::string::npos);
  Outbox::Changes connected;
  connected.connected = true;
  CHECK(hint.of(connected, "", &f.stage, "", 0).empty());
  CHECK(hear(Refusal::kMechanism, nullptr).find("--central-key") != std::string::npos);
  CHECK(hear(Refusal::kClosed, nullptr, 99 * kSecondUs).empty());
}

}  // namespace ft
