#include "runtime/observe/events.h"

#include <doctest/doctest.h>
#include <limits>
#include <nlohmann/json.hpp>

using nlohmann::json;

TEST_CASE("events: a batch, once and again") {
  ft::BatchReport batch;
  batch.batch = 7;
  batch.loss = 0.5;
  const json first = json::parse(ft::event_json(ft::Report(batch), 99.5));
  CHECK(first["event"] == "batch");
  CHECK(first["batch"] == 7);
  CHECK(first["loss"] == 0.5);
  CHECK(first["images_per_second"] == 99.5);
  CHECK(!first.contains("replayed"));
  batch.replayed = true;
  CHECK(json::parse(ft::event_json(ft::Report(batch), 0))["replayed"] == true);
}

TEST_CASE("events: a reconfiguration has the contract's fields") {
  ft::ReconfiguredReport report;
  report.term = 3;
  report.reason = "failure";
  report.stages = {{"pi", 1, {0, 4}}, {"nano", 2, {4, 9}}};
  report.resume_batch = 12;
  report.replayed = 5;
  report.phases = {300000, 100000, 0, 1000000, 100000};
  report.moved_bytes = 77;
  const json event = json::parse(ft::event_json(ft::Report(report), 0));
  for (const char* field : {"term", "reason", "ranges", "resume_batch", "replayed", "moved_bytes",
                            "seconds", "phases", "exact"}) {
    CHECK_MESSAGE(event.contains(field), field);
  }
  CHECK(event["seconds"] == 1.5);
  CHECK(event["phases"]["detect"] == 0.3);
  CHECK(event["phases"]["move"] == 1.0);
  CHECK(event["ranges"][1]["name"] == "nano");
  CHECK(event["ranges"][1]["last"] == 9);
}

TEST_CASE("events: without a test split the accuracy is null") {
  ft::FinishedInfo info;
  info.weights_sha256 = "ab";
  CHECK(json::parse(ft::event_json(info))["accuracy"].is_null());
  info.evaluated = true;
  info.accuracy = 0.9;
  CHECK(json::parse(ft::event_json(info))["accuracy"] == 0.9);
}

TEST_CASE("events: a run without a batch has no loss") {
  ft::FinishedInfo info;
  CHECK(json::parse(ft::event_json(info))["loss"].is_null());
  info.batches = 1;
  info.loss = 0.5;
  CHECK(json::parse(ft::event_json(info))["loss"] == 0.5);
}

TEST_CASE("events: a loss that is not a number is null, as is the accuracy without classes") {
  ft::BatchReport batch;
  batch.loss = std::numeric_limits<double>::quiet_NaN();
  batch.accuracy = std::numeric_limits<double>::quiet_NaN();
  const json event = json::parse(ft::event_json(ft::Report(batch), 1));
  CHECK(event["loss"].is_null());
  CHECK(event["accuracy"].is_null());
}
