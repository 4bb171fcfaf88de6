// ftsim: runs the simulator. `ftsim --help` says how.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include "runtime/base/log.h"
#include "tests/sim/cluster.h"
#include "tests/sim/exhaustive.h"
#include "tests/sim/pace_run.h"
#include "tests/sim/plants.h"
#include "tests/sim/scenario.h"

namespace ft::sim {
namespace {

constexpr const char* kUsage =
    "usage: ftsim --seed N [--runs K] [--plant NAME] [--verbose] [--keep-going]\n"
    "       ftsim --scenario FILE... [--seed N] [--verbose]\n"
    "       ftsim --exhaustive [--keep-going]\n"
    "       ftsim --pace\n"
    "       ftsim --plant list\n";
constexpr size_t kLinesShown = 40;

uint64_t g_seed = 0;

// FT_CHECK has fired in the product.
void on_abort(int) {
  std::fprintf(stderr, "ftsim: seed %llu: violation: an invariant of the product is broken\n",
               static_cast<unsigned long long>(g_seed));
  _exit(1);
}

struct Totals {
  int64_t runs = 0;
  int64_t failures = 0;
  int64_t waiting = 0;
  int64_t split = 0;
  std::array<int64_t, kFaultKinds> faults{};
  int64_t reconfigurations = 0;
  int64_t repartitions = 0;
  TimeUs virtual_us = 0;
  uint64_t hash = 0;

  void add(const RunResult& result) {
    ++runs;
    failures += result.end == RunResult::End::kViolation ? 1 : 0;
    waiting += result.end == RunResult::End::kWaiting ? 1 : 0;
    split += result.end == RunResult::End::kSplit ? 1 : 0;
    for (size_t i = 0; i < faults.size(); ++i) faults[i] += result.faults[i];
    reconfigurations += result.reconfigurations;
    repartitions += result.repartitions;
    virtual_us += result.virtual_us;
    hash = combine(hash, result.hash, 0);
  }
  void print() const {
    std::string kinds;
    for (size_t i = 0; i < faults.size(); ++i) {
      if (faults[i] == 0) continue;
      kinds += (kinds.empty() ? "" : ", ") + std::to_string(faults[i]) + " " +
               name_of(static_cast<FaultKind>(i));
    }
    std::printf(
        "ftsim: %lld runs, %lld failures, %lld waiting for lost layers, %lld split; faults: %s; "
        "%lld reconfigurations, %lld of them repartitions; %.1f virtual hours; hash %016llx\n",
        static_cast<long long>(runs), static_cast<long long>(failures),
        static_cast<long long>(waiting), static_cast<long long>(split),
        kinds.empty() ? "none" : kinds.c_str(), static_cast<long long>(reconfigurations),
        static_cast<long long>(repartitions),
        static_cast<double>(virtual_us) / (3600.0 * kSecondUs),
        static_cast<unsigned long long>(hash));
  }
};

void show(const RunResult& result, bool all) {
  const size_t first =
      all || result.text.size() < kLinesShown ? 0 : result.text.size() - kLinesShown;
  for (size_t i = first; i < result.text.size(); ++i) {
    std::fprintf(stderr, "%s\n", result.text[i].c_str());
  }
}

int run_seeds(uint64_t first, int64_t count, const std::string& plant, bool verbose,
              bool keep_going) {
  Totals totals;
  for (int64_t i = 0; i < count; ++i) {
    g_seed = first + static_cast<uint64_t>(i);
    ClusterOptions options = draw_run(g_seed);
    options.plant = plant;
    options.keep_text = verbose;
    const RunResult result = Cluster(options).run();
    totals.add(result);
    if (verbose) show(result, true);
    if (result.end != RunResult::End::kViolation) continue;
    if (!verbose && !keep_going) {
      options.keep_text = true;
      show(Cluster(options).run(), false);
    }
    std::fprintf(stderr, "ftsim: seed %llu: violation: %s\n",
                 static_cast<unsigned long long>(g_seed), result.violation.c_str());
    if (!keep_going) break;
  }
  totals.print();
  return totals.failures > 0 ? 1 : 0;
}

int run_scenarios(const std::vector<std::string>& files, uint64_t seed, bool verbose) {
  Totals totals;
  for (const std::string& file : files) {
    std::ifstream stream(file);
    std::stringstream text;
    text << stream.rdbuf();
    const Result<Scenario> scenario = parse_scenario(text.str());
    if (!stream || !scenario.ok()) {
      std::fprintf(stderr, "ftsim: %s: %s\n", file.c_str(),
                   stream ? scenario.status().message().c_str() : "cannot be read");
      return 2;
    }
    g_seed = seed;
    RunResult result;
    const std::string problem = play(*scenario, seed, true, &result);
    totals.add(result);
    if (verbose || !problem.empty()) show(result, verbose);
    std::fprintf(stderr, "ftsim: %s: %s\n", file.c_str(),
                 problem.empty() ? "as expected" : problem.c_str());
    if (problem.empty()) continue;
    totals.failures = std::max<int64_t>(totals.failures, 1);
  }
  totals.print();
  return totals.failures > 0 ? 1 : 0;
}

std::string describe(const ClusterOptions& options) {
  std::string text = options.spec.sync ? "sync" : "async";
  for (const Fault& fault : options.faults) {
    text += format("; %s %d %d for %lld ms at moment %lld", name_of(fault.kind), fault.device,
                   fault.other, static_cast<long long>(fault.duration / kMillisecondUs),
                   static_cast<long long>(fault.when.batch));
  }
  return text;
}

int run_all(bool keep_going) {
  Totals totals;
  run_exhaustive(1, [&](const ClusterOptions& options, const RunResult& result) {
    totals.add(result);
    if (result.end != RunResult::End::kViolation) return true;
    ClusterOptions again = options;
    again.keep_text = true;
    if (!keep_going) show(Cluster(again).run(), false);
    std::fprintf(stderr, "ftsim: %s: violation: %s\n", describe(options).c_str(),
                 result.violation.c_str());
    return keep_going;
  });
  totals.print();
  return totals.failures > 0 ? 1 : 0;
}

int list_plants(std::FILE* to) {
  for (const PlantInfo& plant : plants()) {
    std::fprintf(to, "  %-27s %s\n", plant.name, plant.bug);
  }
  return 0;
}

int main_of(const std::vector<std::string>& arguments) {
  uint64_t seed = 1;
  int64_t runs = 1;
  std::string plant;
  bool verbose = false;
  bool keep_going = false;
  bool exhaustive = false;
  std::vector<std::string> scenarios;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& option = arguments[i];
    const bool has_value = i + 1 < arguments.size();
    if (option == "--seed" && has_value) {
      seed = std::strtoull(arguments[++i].c_str(), nullptr, 10);
    } else if (option == "--runs" && has_value) {
      runs = std::strtoll(arguments[++i].c_str(), nullptr, 10);
    } else if (option == "--plant" && has_value) {
      plant = arguments[++i];
    } else if (option == "--scenario" && has_value) {
      while (i + 1 < arguments.size() && arguments[i + 1].rfind("--", 0) != 0) {
        scenarios.push_back(arguments[++i]);
      }
    } else if (option == "--pace") {
      return print_paces() ? 0 : 1;
    } else if (option == "--exhaustive") {
      exhaustive = true;
    } else if (option == "--help") {
      std::fputs(kUsage, stdout);
      std::fputs("\nplants:\n", stdout);
      return list_plants(stdout);
    } else if (option == "--verbose") {
      verbose = true;
    } else if (option == "--keep-going") {
      keep_going = true;
    } else {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  if (plant == "list") return list_plants(stdout);
  if (!plant.empty() && make_plant(plant) == nullptr) {
    std::fprintf(stderr, "ftsim: --plant %s: there is no such plant; there are:\n", plant.c_str());
    list_plants(stderr);
    return 2;
  }
  if (exhaustive) return run_all(keep_going);
  if (!scenarios.empty()) return run_scenarios(scenarios, seed, verbose);
  return run_seeds(seed, runs, plant, verbose, keep_going);
}

}  // namespace
}  // namespace ft::sim

int main(int count, char** values) {
  std::signal(SIGABRT, ft::sim::on_abort);
  ft::set_log_level(ft::LogLevel::kError);
  return ft::sim::main_of(std::vector<std::string>(values + 1, values + count));
}
