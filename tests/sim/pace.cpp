#include "tests/sim/pace.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>

#include "runtime/base/check.h"

namespace ft::sim {
namespace {

// Of a layer's time; what is left is the step. As traced in stages of MobileNetV2.
constexpr double kForward = 0.32;
constexpr double kGradient = 0.34;  // of inputs
constexpr double kWeightGradient = 0.28;

}  // namespace

Pace read_pace(const std::string& path) {
  Pace pace;
  std::ifstream file(path);
  if (!file) {
    std::fprintf(stderr, "ftsim: %s: cannot be read; run where it was built\n", path.c_str());
    std::exit(2);
  }
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    double us = 0;
    LayerSize size;
    CutSize cut;
    std::istringstream words(line);
    words >> us >> size.state_bytes >> size.parameter_bytes >> size.stash_bytes >>
        size.work_bytes >> cut.forward_bytes >> cut.gradient_bytes;
    FT_CHECK(!words.fail());
    pace.layer_us.push_back(us);
    pace.sizes.push_back(size);
    pace.cuts.push_back(cut);
  }
  FT_CHECK(!pace.empty());
  return pace;
}

TaskTime paced_time(const Pace& pace, TaskKind kind, const LayerRange& range, bool defers) {
  const double all_us =
      std::accumulate(pace.layer_us.begin() + range.first, pace.layer_us.begin() + range.last, 0.0);
  const auto part = [&](double share) { return static_cast<TimeUs>(share * all_us); };
  switch (kind) {
    case TaskKind::kForward:
      return {part(kForward), 0};
    case TaskKind::kBackward:
      if (!defers) return {part(kGradient + kWeightGradient), 0};
      return {part(kGradient), part(kWeightGradient)};
    default:
      return {part(1 - kForward - kGradient - kWeightGradient), 0};
  }
}

}  // namespace ft::sim
