#pragma once

// World: virtual time, the queue of what will happen, and the trace of what did. Events of one
// moment happen in the order in which they were planned, so a seed replays exactly. One thread.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "runtime/base/clock.h"
#include "tests/sim/dice.h"

namespace ft::sim {

// Lines of text that are kept; the hash covers all.
constexpr size_t kTraceLinesMax = 200000;

class World {
 public:
  explicit World(uint64_t seed)
      : network_dice(seed, DiceStream::kNetwork), compute_dice(seed, DiceStream::kCompute) {}

  TimeUs now() const { return now_; }
  void at(TimeUs when, std::function<void()> what);
  void after(TimeUs delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  // The next event happens. Returns false when nothing is planned.
  bool step();

  // One thing that happened: who, and a printf pattern of three numbers. Text is only made when it
  // is kept.
  void note(const std::string& who, const char* pattern, int64_t a = 0, int64_t b = 0,
            int64_t c = 0);
  void keep_text() { keeps_text_ = true; }
  const std::deque<std::string>& text() const { return text_; }
  uint64_t hash() const { return hash_; }
  // How many things were noted: the index at which an exhaustive run strikes.
  int64_t notes() const { return notes_; }

  Dice network_dice;
  Dice compute_dice;

 private:
  TimeUs now_ = 10 * kSecondUs;
  uint64_t planned_ = 0;
  std::map<std::pair<TimeUs, uint64_t>, std::function<void()>> events_;
  uint64_t hash_ = 0;
  int64_t notes_ = 0;
  bool keeps_text_ = false;
  std::deque<std::string> text_;
};

}  // namespace ft::sim
