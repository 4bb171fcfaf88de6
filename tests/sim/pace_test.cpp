// How fast simulated clusters train, in virtual time: figures are exact and repeat.

#include <algorithm>
#include <doctest/doctest.h>

#include "runtime/base/log.h"
#include "tests/sim/pace_run.h"

namespace ft::sim {
namespace {

PaceRun find_run(const std::string& name) {
  set_log_level(LogLevel::kError);
  for (const PaceRun& run : pace_runs()) {
    if (run.name == name) return run;
  }
  FAIL("no such run: " << name);
  return {};
}

PaceFigures paced(const std::string& name) {
  PaceFigures figures = run_pace(find_run(name));
  CAPTURE(name);
  CHECK(figures.result.violation == "");
  return figures;
}

double seconds(const PaceFigures& figures, int64_t first, int64_t last) {
  return figures.part(first, last).batch_us * static_cast<double>(last - first) / kSecondUs;
}

}  // namespace

TEST_CASE("pace: unequal devices train at 95 % of the ideal, and as fast as the plan promised") {
  for (const std::string more : {"", "+-10 %"}) {
    for (const std::string speeds : {"1 1 1 ", "1 1 0.1 ", "1 1 1 1 0.1 ", "1 0.5 0.25 "}) {
      const PaceFigures figures = paced(speeds + more);
      CAPTURE(speeds + more);
      CHECK(figures.steady().of_ideal > 0.95);
      CHECK(figures.promised_over_steady() == doctest::Approx(1).epsilon(0.03));
    }
  }
}

TEST_CASE("pace: sync, too, keeps what its plan promised") {
  for (const std::string speeds : {"1 1 1 ", "1 1 0.1 ", "1 1 1 1 0.1 ", "1 0.5 0.25 "}) {
    CAPTURE(speeds);
    CHECK(paced(speeds + "sync, 8").promised_over_steady() == doctest::Approx(1).epsilon(0.05));
  }
}

TEST_CASE("pace: the paper's headline, an even split against one by speeds") {
  const auto ratio = [](const std::string& speeds) {
    return paced(speeds + "even").steady().batch_us / paced(speeds).steady().batch_us;
  };
  // The slow one's even share is 0.323 of the model, as its layers divide: 6.78 times at most.
  CHECK(ratio("1 1 0.1 ") > 6.7);
  CHECK(ratio("1 1 1 1 0.1 ") > 7.8);
}

TEST_CASE("pace: the order of joining makes no difference") {
  std::vector<double> times;
  for (const char* speeds :
       {"1 0.5 0.25 ", "1 0.25 0.5 ", "0.5 1 0.25 ", "0.5 0.25 1 ", "0.25 1 0.5 ", "0.25 0.5 1 "}) {
    times.push_back(paced(speeds).steady().batch_us);
  }
  const auto [least, greatest] = std::minmax_element(times.begin(), times.end());
  CHECK(*greatest / *least < 1.03);
}

TEST_CASE("pace: a device drops to a tenth; 20 batches and the move later all is as it can be") {
  const PaceFigures figures = paced("1 1 1 a tenth, 20 s");
  const std::vector<double> moves = figures.reconfigured_s("repartition");
  REQUIRE(moves.size() == 2);
  const double new_ideal = 2.1 / 3;
  CHECK(figures.part(520, 560).of_ideal > 0.9 * new_ideal);
  const int64_t last = static_cast<int64_t>(figures.batch_at.size()) - 100;
  CHECK(figures.part(last - 100, last).of_ideal > 0.95);
  CHECK(moves[1] - moves[0] < 20);  // less than a second behind the recovery
  CHECK(seconds(figures, 500, 520) < 2.5);
}

TEST_CASE("pace: a device behind 2 MB/s is left out, and makes no other link look slow") {
  const PaceFigures figures = paced("1 1 1 2 MB/s");
  CHECK(figures.result.last_stages == std::vector<std::string>{"central", "stage-2"});
  CHECK(figures.steady().of_ideal > 0.95 * 2 / 3);
  CHECK(figures.promised_over_steady() == doctest::Approx(1).epsilon(0.1));
}

// Replicas keep such a link busy, but what others wait for does not wait long behind them.
TEST_CASE("pace: a device behind 2 MB/s that is worth having trains as fast as promised") {
  for (const std::string speeds : {"0.5 0.5 0.5 ", "0.2 0.2 0.2 "}) {
    CAPTURE(speeds);
    const PaceFigures figures = paced(speeds + "2 MB/s");
    CHECK(figures.result.last_stages.size() == 3);
    CHECK(figures.promised_over_steady() == doctest::Approx(1).epsilon(0.03));
  }
}

TEST_CASE("pace: noise of constant devices moves nothing after the first ten seconds") {
  PaceRun run = find_run("1 0.5 0.25 +-10 %");
  run.scatter = 0.3;
  run.batches = 1000;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    CAPTURE(seed);
    const PaceFigures figures = run_pace(run, seed);
    CHECK(figures.result.violation == "");
    CHECK(figures.batch_at.back() > 0);
    for (const double at : figures.reconfigured_s("repartition")) CHECK(at < 10);
  }
}

// Plans count a quarter of a pause for each batch. That is too much here, where messages cost no
// CPU and are handled in a pause, too.
TEST_CASE("pace: the pauses of CPU quotas move nothing after the first ten seconds") {
  for (const bool long_pauses : {false, true}) {
    const PaceRun run = find_run(long_pauses ? "1 1 1 quotas, 100 ms" : "1 1 1 quotas, 10 ms");
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(run.name);
      CAPTURE(seed);
      const PaceFigures figures = run_pace(run, seed);
      CHECK(figures.result.violation == "");
      CHECK(figures.steady().of_ideal > 0.95);
      CHECK(figures.promised_over_steady() < 1.05);
      CHECK(figures.promised_over_steady() > (long_pauses ? 0.75 : 0.95));
      for (const double at : figures.reconfigured_s("repartition")) CHECK(at < 10);
    }
  }
}

}  // namespace ft::sim
