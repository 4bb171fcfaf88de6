// Whole clusters with faults: scenario files, random schedules, and the bugs that must be found.

#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/base/log.h"
#include "tests/sim/cluster.h"
#include "tests/sim/plants.h"
#include "tests/sim/scenario.h"

namespace ft::sim {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

RunResult run(uint64_t seed, const std::string& plant = "") {
  set_log_level(LogLevel::kError);
  ClusterOptions options = draw_run(seed);
  options.plant = plant;
  return Cluster(options).run();
}

// The seeds within which every planted bug must be found; README.md says which was the first.
constexpr uint64_t kPlantSeeds = 2000;

uint64_t find(const std::string& plant) {
  for (uint64_t seed = 1; seed <= kPlantSeeds; ++seed) {
    if (run(seed, plant).end == RunResult::End::kViolation) return seed;
  }
  return 0;
}

}  // namespace

TEST_CASE("sim: every scenario ends as its file says") {
  set_log_level(LogLevel::kError);
  std::vector<std::filesystem::path> files;
  const std::string folder = FT_SOURCE_DIR "/tests/sim/scenarios";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  CHECK(files.size() >= 20);
  for (const std::filesystem::path& file : files) {
    CAPTURE(file.string());
    const Result<Scenario> scenario = parse_scenario(read(file));
    REQUIRE_MESSAGE(scenario.ok(), scenario.status().message());
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(seed);
      RunResult result;
      CHECK(play(*scenario, seed, false, &result) == "");
    }
  }
}

TEST_CASE("sim: a scenario that does not hold is told") {
  const std::string text = "devices 3 / layers 4 / batches 20\nat batch 5 crash stage-1\n";
  RunResult result;
  const auto outcome = [&](const std::string& expected) {
    return play(*parse_scenario(text + expected), 1, false, &result);
  };
  CHECK(outcome("expect finished") == "");
  CHECK(outcome("expect waiting") != "");
  CHECK(outcome("expect stages 3") != "");
  CHECK(outcome("expect reconfigurations 2") != "");
  CHECK(outcome("at batch 99 crash stage-2") != "");
  CHECK(!parse_scenario("at batch crash").ok());
  CHECK(!parse_scenario("at batch 3 explode stage-1").ok());
}

TEST_CASE("sim: the pipeline is full, and epochs do not drain it") {
  const std::string text = "devices 4 / layers 8 / batches 30 / async / epoch 1 / cut every 5";
  RunResult result;
  CHECK(play(*parse_scenario(text), 1, false, &result) == "");
  CHECK(result.in_flight_max == 4);
  CHECK(result.reconfigurations == 1);
}

TEST_CASE("sim: random schedules of faults break no rule") {
  int reconfigurations = 0;
  int repartitions = 0;
  for (uint64_t seed = 5001; seed <= 5300; ++seed) {
    CAPTURE(seed);
    const RunResult result = run(seed);
    CHECK(result.violation == "");
    reconfigurations += result.reconfigurations;
    repartitions += result.repartitions;
  }
  CHECK(reconfigurations > 400);
  CHECK(repartitions > 50);
}

TEST_CASE("sim: a seed replays to the same trace, another one does not") {
  CHECK(run(12).hash == run(12).hash);
  CHECK(run(12).hash != run(13).hash);
}

TEST_CASE("sim: every planted bug is found") {
  CHECK(plants().size() >= 14);
  for (const PlantInfo& plant : plants()) {
    const std::string name = plant.name;
    CAPTURE(name);
    const uint64_t seed = find(name);
    REQUIRE(seed != 0);
    CHECK(run(seed).violation == "");
  }
}

}  // namespace ft::sim
