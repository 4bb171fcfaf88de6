#include "runtime/node/options.h"

#include <doctest/doctest.h>
#include <vector>

#include "runtime/node/option_checks.h"
#include "runtime/node/option_units.h"

namespace {

ft::Result<ft::Options> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "ftrun");
  return ft::parse_options(static_cast<int>(words.size()), words.data());
}

}  // namespace

TEST_CASE("options: the defaults are the contract's") {
  const auto o = parse({"m.onnx", "--data", "fashion-mnist"});
  REQUIRE_MESSAGE(o.ok(), o.status().message());
  CHECK(o->command == ft::Command::kTrain);
  CHECK(o->role == ft::Role::kSolo);
  CHECK(o->stages == 3);
  CHECK(o->workers == 1);
  CHECK(o->central == "tcp://127.0.0.1:7117");
  CHECK(!o->sync);
  CHECK(o->micro_batches == 4);
  CHECK(o->aggregate_every == 0);
  CHECK(o->batch_size == 64);
  CHECK(o->epochs == 1);
  CHECK(o->seed == 0);
  CHECK(o->shuffle);
  CHECK(o->optimizer.learning_rate == 0.01F);
  CHECK(o->optimizer.momentum == 0.9F);
  CHECK(o->optimizer.weight_decay == 0.0F);
  CHECK(!o->optimizer.nesterov);
  CHECK(o->partition == "dynamic");
  CHECK(o->replicate_every == 50);
  CHECK(o->global_every == 2);
  CHECK(o->failure_timeout_us == 1000000);
  CHECK(o->heartbeat_us == 250000);
}

TEST_CASE("options: central listens on the known port, a stage on a free one") {
  CHECK(parse({"m.onnx", "--data", "d", "--role", "central"})->listen == "tcp://127.0.0.1:7117");
  CHECK(parse({"--role", "stage"})->listen == "tcp://127.0.0.1:*");
}

TEST_CASE("options: what is refused names option and cause") {
  const std::vector<std::pair<std::vector<const char*>, const char*>> cases = {
      {{}, "MODEL"},
      {{"m.onnx"}, "--data"},
      {{"m.onnx", "--data", "d", "--role", "boss"}, "--role"},
      {{"m.onnx", "--data", "d", "--schedule", "sync", "--micro-batches", "5"}, "--micro-batches"},
      {{"m.onnx", "--data", "d", "--schedule", "sync", "--aggregate-every", "5"}, "--aggregate"},
      {{"m.onnx", "--data", "d", "--schedule", "sync", "--wire", "fp16"}, "sync"},
      {{"m.onnx", "--data", "d", "--momentum", "1"}, "--momentum"},
      {{"m.onnx", "--data", "d", "--nesterov", "--momentum", "0"}, "--nesterov"},
      {{"m.onnx", "--data", "d", "--heartbeat", "1s"}, "--heartbeat"},
      {{"m.onnx", "--data", "d", "--failure-timeout", "1"}, "duration"},
      {{"m.onnx", "--data", "d", "--slowdown", "0.5"}, "--slowdown"},
      {{"m.onnx", "--data", "d", "--optimizer", "lion"}, "lion"},
      {{"m.onnx", "--data", "d", "--memory", "-5MB"}, "--memory"},
      {{"m.onnx", "--data", "d", "--memory", ""}, "--memory"},
      {{"frobnicate"}, "frobnicate: no such command"},
      {{"eval", "m.onnx"}, "--data"},
      {{"export", "run"}, "--output"},
  };
  for (const auto& [words, needs] : cases) {
    const auto refused = parse(words);
    CAPTURE(needs);
    REQUIRE(!refused.ok());
    CHECK(refused.status().code() == ft::StatusCode::kInvalid);
    CHECK_MESSAGE(refused.status().message().find(needs) != std::string::npos,
                  refused.status().message());
  }
}

TEST_CASE("options: lists of tensors, with commas or one by one") {
  const auto o = parse({"m.onnx", "--data", "fashion-mnist", "--freeze", "a.*,b", "--freeze", "c?",
                        "--train", "a.bias", "--tie", "a=b", "--untie", "d,e"});
  REQUIRE_MESSAGE(o.ok(), o.status().message());
  CHECK(o->roles == ft::RoleChoices{{"a.*", "b", "c?"}, {"a.bias"}, {"a=b"}, {"d", "e"}});
  const auto shown = parse({"inspect", "m.onnx", "--freeze", "a.*"});
  REQUIRE_MESSAGE(shown.ok(), shown.status().message());
  CHECK(shown->roles.freeze == std::vector<std::string>{"a.*"});
  const std::string letters(513, 'a');
  const auto longer = parse({"m.onnx", "--data", "fashion-mnist", "--tie", letters.c_str()});
  CHECK(longer.status().message().starts_with("--tie: a name has 513 letters"));
}

TEST_CASE("options: as many slowdowns as stages, or one") {
  const auto check = [](std::vector<const char*> words) {
    words.insert(words.begin(), {"m.onnx", "--data", "d"});
    return ft::check_slowdowns(*parse(words)).ok();
  };
  CHECK(check({}));
  CHECK(check({"--role", "local", "--stages", "3", "--slowdown", "2"}));
  CHECK(check({"--role", "local", "--stages", "3", "--slowdown", "1,2,3"}));
  CHECK(!check({"--role", "local", "--stages", "3", "--slowdown", "1,2"}));
  CHECK(!check({"--role", "local", "--stages", "3", "--slowdown", "1,2,3,4"}));
  CHECK(!check({"--role", "solo", "--slowdown", "1,2"}));
}

TEST_CASE("options: durations") {
  CHECK(*ft::parse_duration("250ms") == 250000);
  CHECK(*ft::parse_duration("2.5s") == 2500000);
  CHECK(*ft::parse_duration("40us") == 40);
  for (const char* wrong : {"", "s", "1", "-1s", "1h", "0s", "1s ", "inf s"}) {
    CHECK(!ft::parse_duration(wrong).ok());
  }
}
