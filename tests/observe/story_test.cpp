// Every event is one line that a person understands.

#include "runtime/observe/story.h"

#include <doctest/doctest.h>

#include "runtime/observe/events.h"

namespace {

ft::ReconfiguredReport reconfigured(size_t stages) {
  ft::ReconfiguredReport report;
  report.reason = "failure";
  for (size_t i = 0; i < stages; ++i) {
    const int first = static_cast<int>(i);
    report.stages.push_back({"pi" + std::to_string(i), i + 1, {first, first + 1}});
  }
  report.resume_batch = 100;
  return report;
}

}  // namespace

TEST_CASE("story: a loss and what followed from it") {
  ft::Story story;
  ft::ReconfiguredReport start = reconfigured(3);
  start.reason = "start";
  CHECK(story.of(start) ==
        "start: going on with batch 101 after 0.0 s; layers pi0 [0, 1), pi1 [1, 2), pi2 [2, 3)");
  CHECK(story.of(ft::Report(ft::DeviceLostReport{"pi4-b", "connection closed", 2})) ==
        "pi4-b lost (connection closed): 2 devices left");
  ft::ReconfiguredReport failure = reconfigured(2);
  failure.replayed = 38;
  failure.moved_bytes = 5347738;
  failure.phases = {300000, 100000, 0, 450000, 2000};
  CHECK(story.of(failure) ==
        "pi4-b lost: 3 -> 2 stages, 5.1 MiB moved, 38 batches replayed, going on with batch 101 "
        "after 0.9 s (detect 0.30, pause 0.10, move 0.45); layers pi0 [0, 1), pi1 [1, 2)");
  // What was told is not told again.
  CHECK(story.of(reconfigured(2)).starts_with("failure: 2 -> 2 stages, going on"));
}

TEST_CASE("story: who leaves") {
  ft::Story story;
  story.of(reconfigured(3));
  ft::ReconfiguredReport left = reconfigured(2);
  left.reason = "leave";
  CHECK(story.of(left).starts_with("pi2 leaves: 3 -> 2 stages, going on"));
}

TEST_CASE("story: waiting names the layers and who had them") {
  ft::Story story;
  CHECK(story.of(ft::Report(ft::WaitingReport{49, "3, 4", "pi4-b"})) ==
        "nobody here holds layers 3, 4 after batch 50: waiting for a device that does; last seen "
        "on pi4-b");
}

TEST_CASE("story: a loss that has grown names the batch as people count, and the option") {
  ft::Story story;
  ft::LossGrownReport grown{30, 11, 39.7, "0.01", true};
  CHECK(story.of(ft::Report(grown)) ==
        "the loss has grown 40-fold since batch 12: `--lr 0.01` is probably too high");
  grown.shuffled = false;
  CHECK(story.of(ft::Report(grown)).ends_with("or the samples are sorted (--shuffle on)"));
  grown.factor = 1e30;
  CHECK(story.of(ft::Report(grown)).find("more than a million-fold") != std::string::npos);
  const std::string json = ft::event_json(ft::Report(grown), 0);
  CHECK(json.find("\"event\":\"warning\",\"batch\":30,\"since_batch\":11") != std::string::npos);
}
