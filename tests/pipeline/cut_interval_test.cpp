// The interval follows what a cut costs beside a batch.

#include "runtime/pipeline/cut_interval.h"

#include <doctest/doctest.h>

namespace {

// Trains for 2,000 batches; returns the interval at the end.
int64_t settle(ft::TimeUs batch_us, ft::TimeUs cut_us, int* changes) {
  ft::CutInterval interval;
  int64_t every = ft::kCutEveryStart;
  interval.begin(0, every);
  ft::TimeUs now = 0;
  ft::TimeUs spent = 0;
  *changes = 0;
  for (int64_t batch = 0; batch < 2000; ++batch) {
    now += batch_us;
    const bool cut = (batch + 1) % every == 0;
    const int64_t wanted = interval.finished(now, cut, spent);
    if (cut) spent += cut_us;  // known a little later
    if (wanted == 0) continue;
    every = wanted;
    ++*changes;
  }
  return every;
}

}  // namespace

TEST_CASE("cut interval: a cut costs about one percent of the batches between two cuts") {
  int changes = 0;
  const int64_t every = settle(10'000, 5'000, &changes);
  CHECK(every >= 45);
  CHECK(every <= 56);
  CHECK(changes <= 2);
}

TEST_CASE("cut interval: cheap cuts come often, dear ones seldom, within limits") {
  int changes = 0;
  CHECK(settle(100'000, 10, &changes) == ft::kCutEveryMin);
  CHECK(settle(1'000, 1'000'000, &changes) == ft::kCutEveryMax);
}
