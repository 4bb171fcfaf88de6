#include "runtime/pipeline/schedule.h"

#include <doctest/doctest.h>

namespace {

ft::net::Training training(bool sync, int aggregate_every = 0) {
  ft::net::Training t;
  t.set_schedule(sync ? ft::net::kSync : ft::net::kAsync);
  t.set_micro_batches(4);
  t.set_aggregate_every(aggregate_every);
  t.set_batches(100);
  t.set_batches_per_epoch(10);
  t.set_evaluate(true);
  return t;
}

}  // namespace

TEST_CASE("schedule: async uses the version that is known S - s batches later") {
  const auto async = training(false);
  CHECK(ft::version_used(async, {0, 3, -1}, 10) == 7);
  CHECK(ft::version_used(async, {2, 3, -1}, 10) == 9);
  CHECK(ft::version_used(async, {0, 3, -1}, 1) == -1);
  CHECK(ft::version_used(async, {0, 3, 20}, 21) == 20);
  CHECK(ft::version_used(async, {0, 3, 20}, 24) == 21);
  CHECK(ft::version_used(async, {0, 1, -1}, 5) == 4);
}

TEST_CASE("schedule: sync uses the version before") {
  CHECK(ft::version_used(training(true), {0, 5, -1}, 10) == 9);
  CHECK(ft::micro_count(training(true)) == 4);
  CHECK(ft::micro_count(training(false)) == 1);
}

TEST_CASE("schedule: aggregation takes the newest S - s versions, never older than v0") {
  const auto async = training(false, 5);
  CHECK(ft::mean_from(async, {0, 3, -1}, 8) == 8);
  CHECK(ft::mean_from(async, {0, 3, -1}, 9) == 7);
  CHECK(ft::mean_from(async, {1, 3, -1}, 9) == 8);
  CHECK(ft::mean_from(async, {2, 3, -1}, 9) == 9);
  CHECK(ft::mean_from(async, {0, 3, 8}, 9) == 8);
  CHECK(ft::mean_from(async, {0, 6, -1}, 4) == -1);
  CHECK(ft::mean_from(training(true, 5), {0, 3, -1}, 9) == 9);
}

TEST_CASE("schedule: what a stage still needs covers every version it will use") {
  for (const bool sync : {false, true}) {
    const auto t = training(sync, 2);
    for (int stages = 1; stages <= 5; ++stages) {
      for (int stage = 0; stage < stages; ++stage) {
        const ft::StagePlace place{stage, stages, -1};
        for (int64_t version = -1; version < 30; ++version) {
          const int64_t oldest = ft::oldest_needed(t, place, version);
          CHECK(oldest <= version);
          for (int64_t batch = version + 1; batch < version + 8; ++batch) {
            CHECK(ft::version_used(t, place, batch) >= oldest);
            const int64_t from = ft::mean_from(t, place, batch);
            CHECK(from >= oldest);
          }
        }
      }
    }
  }
}

TEST_CASE("schedule: evaluation belongs to epoch ends and to the end of the run") {
  auto t = training(false);
  t.set_batches(25);
  CHECK(ft::is_evaluated(t, 9));
  CHECK(!ft::is_evaluated(t, 10));
  CHECK(ft::is_evaluated(t, 24));
  CHECK(!ft::is_evaluated(t, -1));
  t.set_evaluate(false);
  CHECK(!ft::is_evaluated(t, 9));
}

TEST_CASE("schedule: gradients that others wait for come first where they would wait") {
  CHECK(!ft::defers_gradients(training(true), {0, 3, -1}));
  CHECK(ft::defers_gradients(training(true), {1, 2, -1}));
  CHECK(!ft::defers_gradients(training(false), {0, 5, -1}));
  CHECK(!ft::defers_gradients(training(false), {2, 3, -1}));
  CHECK(ft::defers_gradients(training(false), {1, 4, -1}));
}
