#include "runtime/node/node_keys.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/base/temp_dir.h"

namespace ft {
namespace {

// A central with a key as "central", and a stage's with a key as "board".
struct Fixture {
  TempDir dir;
  Identity central_identity{"central", make_key_pair()};
  Identity board_identity{"board", make_key_pair()};
  Options central;
  Options stage;
  Fixture() {
    for (const Identity* identity : {&central_identity, &board_identity}) {
      REQUIRE(::mkdir(dir.file(identity->name).c_str(), 0700) == 0);
      REQUIRE(write_identity(dir.file(identity->name + "/key"), *identity).ok());
    }
    central.role = Role::kCentral;
    central.listen = "tcp://10.0.0.1:7117";
    central.keys = dir.file("central");
    stage.role = Role::kStage;
    stage.listen = "tcp://10.0.0.2:*";
    stage.central = "tcp://10.0.0.1:7117";
    stage.keys = dir.file("board");
    stage.central_key = key_text(central_identity.keys.public_key);
  }
};

bool refuses(Options options, const std::string& needs) {
  const auto keys = keys_for(&options);
  if (keys.ok() || keys.status().code() != StatusCode::kInvalid) return false;
  if (keys.status().message().find(needs) != std::string::npos) return true;
  MESSAGE(keys.status().message());
  return false;
}

bool is_without(Options options) {
  const auto keys = keys_for(&options);
  return keys.ok() && !keys->has_value();
}

}  // namespace

TEST_CASE("node keys: endpoints other than loopback need keys or --insecure") {
  Options o;
  o.role = Role::kCentral;
  o.keys = "/nowhere";
  for (const char* beyond :
       {"tcp://0.0.0.0:1", "tcp://*:1", "tcp://10.0.0.1:7117", "tcp://127.evil.org:1"}) {
    o.listen = beyond;
    CHECK(refuses(o, std::string("--listen ") + beyond));
    CHECK(refuses(o, "ftrun keygen"));
    CHECK(refuses(o, "--insecure"));
  }
  o.keys.clear();
  o.insecure = true;
  CHECK(is_without(o));
  o.insecure = false;
  for (const char* here : {"tcp://127.0.0.1:*", "tcp://[::1]:7117", "tcp://localhost:1"}) {
    o.listen = here;
    CHECK(is_without(o));
  }
  o.role = Role::kStage;
  o.central = "tcp://10.0.0.1:7117";
  o.keys = "/nowhere";
  CHECK(refuses(o, "--central tcp://10.0.0.1:7117"));
}

TEST_CASE("node keys: malformed endpoints name option and cause, --insecure or not") {
  for (const bool insecure : {false, true}) {
    Options o;
    o.role = Role::kStage;
    o.insecure = insecure;
    o.listen = "ipc:///tmp/x";
    CHECK(refuses(o, "--listen ipc:///tmp/x: must be tcp://"));
    o.listen = "tcp://127.0.0.1:*";
    const std::pair<const char*, const char*> cases[] = {{"tcp://:7117", "no host"},
                                                         {"tcp://127.0.0.1:7117:3", "colon"},
                                                         {"tcp://127.0.0.1:99999", "65535"},
                                                         {"tcp://127.0.0.1:*", "65535"}};
    for (const auto& [endpoint, cause] : cases) {
      o.central = endpoint;
      CHECK(refuses(o, std::string("--central ") + endpoint));
      CHECK(refuses(o, cause));
    }
  }
}

TEST_CASE("node keys: central leads under its own key, with those it allows") {
  Fixture f;
  AllowList list = *AllowList::read(f.central.keys + "/allowed_keys");
  REQUIRE(list.add("board", f.board_identity.keys.public_key).ok());
  const auto keys = keys_for(&f.central);
  REQUIRE_MESSAGE(keys.ok(), keys.status().message());
  REQUIRE(keys->has_value());
  CHECK((*keys)->central == f.central_identity.keys.public_key);
  CHECK((*keys)->own.secret_key == f.central_identity.keys.secret_key);
  CHECK((*keys)->devices.name_of(f.board_identity.keys.public_key) != nullptr);
  CHECK(f.central.name == "central");
}

TEST_CASE("node keys: a stage follows the named key, or the only one it allows") {
  Fixture f;
  const auto named = keys_for(&f.stage);
  REQUIRE_MESSAGE(named.ok(), named.status().message());
  CHECK((*named)->central == f.central_identity.keys.public_key);
  CHECK(f.stage.name == "board");
  f.stage.given = {"--name"};
  f.stage.name = "shed";
  REQUIRE(keys_for(&f.stage).ok());
  CHECK(f.stage.name == "shed");

  f.stage.central_key.clear();
  CHECK(refuses(f.stage, "--central-key"));
  AllowList list = *AllowList::read(f.stage.keys + "/allowed_keys");
  REQUIRE(list.add("central", f.central_identity.keys.public_key).ok());
  const auto only = keys_for(&f.stage);
  REQUIRE(only.ok());
  CHECK((*only)->central == f.central_identity.keys.public_key);
  CHECK((*only)->devices.size() == 0);  // they lead, they do not join
  REQUIRE(list.add("other", make_key_pair().public_key).ok());
  CHECK(refuses(f.stage, "--central-key"));
  f.stage.central_key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
  CHECK(refuses(f.stage, "64 hexadecimal digits"));
}

TEST_CASE("node keys: asked for on loopback, they are used there") {
  Fixture f;
  f.stage.listen = "tcp://127.0.0.1:*";
  f.stage.central = "tcp://127.0.0.1:7117";
  const auto keys = keys_for(&f.stage);
  REQUIRE(keys.ok());
  CHECK(keys->has_value());
}

TEST_CASE("node keys: a directory that others may change is refused") {
  Fixture f;
  REQUIRE(::chmod(f.stage.keys.c_str(), 0770) == 0);
  CHECK(refuses(f.stage, "chmod 700 " + f.stage.keys));
  REQUIRE(::chmod(f.stage.keys.c_str(), 0700) == 0);
  REQUIRE(::chmod((f.stage.keys + "/key").c_str(), 0640) == 0);
  CHECK(refuses(f.stage, "chmod 600 " + f.stage.keys + "/key"));
}

}  // namespace ft
