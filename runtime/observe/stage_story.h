#pragma once

// StageStory: what a stage tells the person who started it, by looking at its machine now and then:
// that it has joined, which layers it serves, how it ends, and that it looks for central in vain.

#include <string>
#include <vector>

#include "runtime/pipeline/report.h"

namespace ft {

struct StageNews {
  std::string text;
  std::string json;  // the event; empty: there is none
};

class StageStory {
 public:
  // `central` is the endpoint that the stage looks for.
  StageStory(std::string name, std::string central);

  // What is new since the last look.
  std::vector<StageNews> look(const StageView& view, TimeUs now);
  // The run has come to its end.
  StageNews ended(const StageView& view) const;
  // As it wished, while the run goes on.
  StageNews left(const StageView& view) const;

 private:
  void look_for_central(const StageView& view, TimeUs now, std::vector<StageNews>* news);

  std::string name_;
  std::string central_;
  bool joined_ = false;
  LayerRange range_{-1, -1};  // that was told; -1: none
  TimeUs away_since_ = -1;    // when central was first missed
  TimeUs hint_at_ = 0;
  TimeUs hint_wait_ = 0;
};

}  // namespace ft
