#include "runtime/observe/stage_story.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;

constexpr const char* kCentral = "tcp://10.0.0.1:7117";

ft::StageView serving(int first, int last) {
  ft::StageView view;
  view.joined = true;
  view.run.assign(16, '\xAB');
  view.training = true;
  view.range = {first, last};
  view.layers = 12;
  view.resume_batch = 80;
  view.batches = 300;
  return view;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("stage story: joined, and the layers whenever they change") {
  ft::StageStory story("pi4", kCentral);
  CHECK(story.look(ft::StageView(), 0).empty());
  ft::StageView paused = serving(2, 5);
  paused.training = false;
  const auto joined = story.look(paused, ft::kSecondUs);
  REQUIRE(joined.size() == 1);
  CHECK(joined[0].text ==
        "joined as pi4: run abababababababababababababababab, central at " + std::string(kCentral));
  CHECK(json::parse(joined[0].json)["event"] == "joined");
  const auto serves = story.look(serving(2, 5), ft::kSecondUs);
  REQUIRE(serves.size() == 1);
  CHECK(serves[0].text == "serving layers [2, 5) of 12 from batch 81");
  CHECK(json::parse(serves[0].json)["resume_batch"] == 80);
  CHECK(story.look(serving(2, 5), ft::kSecondUs).empty());
  CHECK(story.look(serving(2, 7), ft::kSecondUs).size() == 1);
  CHECK(has(story.look(serving(0, 0), ft::kSecondUs)[0].text, "no layers"));
}

TEST_CASE("stage story: hints at growing intervals while central is not found") {
  ft::StageStory story("pi4", kCentral);
  std::vector<ft::TimeUs> hints;
  for (ft::TimeUs second = 0; second <= 160; ++second) {
    for (const auto& news : story.look(ft::StageView(), second * ft::kSecondUs)) {
      CHECK(has(news.text, "still no answer from tcp://10.0.0.1:7117"));
      hints.push_back(second);
    }
  }
  CHECK(hints == std::vector<ft::TimeUs>{10, 30, 70, 150});
}

TEST_CASE("stage story: a central that falls silent, and comes back") {
  ft::StageStory story("pi4", kCentral);
  story.look(serving(2, 5), 0);
  ft::StageView silent = serving(2, 5);
  silent.central_silent = true;
  std::vector<std::string> told;
  for (ft::TimeUs second = 1; second <= 12; ++second) {
    for (const auto& news : story.look(silent, second * ft::kSecondUs)) told.push_back(news.text);
    // It holds what it has, and serves nobody meanwhile.
    silent.training = false;
  }
  REQUIRE(told.size() == 2);
  CHECK(has(told[0], "central is silent"));
  CHECK(has(told[1], "still no answer"));
  CHECK(story.look(serving(2, 5), 13 * ft::kSecondUs).size() == 1);
}

TEST_CASE("stage story: the end") {
  const ft::StageStory story("pi4", kCentral);
  ft::StageView view = serving(2, 5);
  view.version = 299;
  CHECK(story.ended(view).text == "run finished: 300 batches");
  view.version = 182;
  CHECK(story.ended(view).text == "run ended after batch 183 of 300");
  view.range = {};
  CHECK(story.ended(view).text == "run finished");
}
