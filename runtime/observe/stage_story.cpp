#include "runtime/observe/stage_story.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/base/status.h"

namespace ft {
namespace {

using Json = nlohmann::ordered_json;

constexpr TimeUs kHintFirstUs = 10 * kSecondUs;
constexpr TimeUs kHintMaxUs = 300 * kSecondUs;
// A central that is merely slow to speak is no news.
constexpr TimeUs kSilentUs = 2 * kSecondUs;

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string run_text(const std::string& run) {
  std::string text;
  for (const char byte : run) text += format("%02x", static_cast<uint8_t>(byte));
  return text;
}

}  // namespace

StageStory::StageStory(std::string name, std::string central)
    : name_(std::move(name)), central_(std::move(central)) {}

// At growing intervals, as long as it lasts.
void StageStory::look_for_central(const StageView& view, TimeUs now, std::vector<StageNews>* news) {
  const bool away = !view.joined || view.central_silent;
  if (!away) {
    away_since_ = -1;
    return;
  }
  if (away_since_ < 0) {
    away_since_ = now;
    hint_wait_ = kHintFirstUs;
    hint_at_ = now + (view.joined ? kSilentUs : hint_wait_);
  }
  if (now < hint_at_) return;
  if (now - away_since_ < kHintFirstUs) {
    news->push_back(
        {"central is silent: keeping what this stage holds, looking for central at " + central_,
         ""});
    range_ = {-1, -1};
    hint_at_ = away_since_ + hint_wait_;
    return;
  }
  news->push_back({format("still no answer from %s: is central running there, is the port open?",
                          central_.c_str()),
                   ""});
  hint_wait_ = std::min(2 * hint_wait_, kHintMaxUs);
  hint_at_ = now + hint_wait_;
}

std::vector<StageNews> StageStory::look(const StageView& view, TimeUs now) {
  std::vector<StageNews> news;
  look_for_central(view, now, &news);
  if (view.joined && !joined_) {
    const std::string run = run_text(view.run);
    const Json json = {{"event", "joined"}, {"name", name_}, {"run", run}, {"central", central_}};
    news.push_back({format("joined as %s: run %s, central at %s", name_.c_str(), run.c_str(),
                           central_.c_str()),
                    to_line(json)});
  }
  if (!view.joined) range_ = {-1, -1};
  joined_ = view.joined;
  if (!view.training || view.central_silent || view.range == range_) return news;
  range_ = view.range;
  const Json json = {{"event", "serving"},
                     {"first", range_.first},
                     {"last", range_.last},
                     {"layers", view.layers},
                     {"resume_batch", view.resume_batch}};
  news.push_back({range_.count() > 0 ? format("serving layers [%d, %d) of %d from batch %lld",
                                              range_.first, range_.last, view.layers,
                                              static_cast<long long>(view.resume_batch + 1))
                                     : "no layers for this stage now: it holds copies for others",
                  to_line(json)});
  return news;
}

StageNews StageStory::ended(const StageView& view) const {
  std::string text = "run finished";
  if (!view.joined) {
    text = "central's run is over";
  } else if (view.range.count() > 0) {
    const auto done = static_cast<long long>(view.version + 1);
    text = view.version + 1 < view.batches ? format("run ended after batch %lld of %lld", done,
                                                    static_cast<long long>(view.batches))
                                           : format("run finished: %lld batches", done);
  }
  return {text, to_line({{"event", "ended"}, {"batches", view.version + 1}})};
}

StageNews StageStory::left(const StageView& view) const {
  return {"left the run: others have taken over what this stage held", ended(view).json};
}

}  // namespace ft
