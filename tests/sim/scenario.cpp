#include "tests/sim/scenario.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

namespace ft::sim {
namespace {

using Words = std::vector<std::string>;

// One line at a time; the first complaint ends it.
class Parser {
 public:
  Result<Scenario> parse(const std::string& text);

 private:
  bool setting(const Words& words);
  bool fault(const Words& words);
  bool trigger(const Words& words, size_t* used, Trigger* when) const;
  bool what(Words words, Fault* fault) const;
  bool expectation(const Words& words);
  bool device(const std::string& name, int* index) const;

  Scenario scenario_;
  int64_t snapshot_bytes_ = 200;
};

bool number(const std::string& word, int64_t* value) {
  char* end = nullptr;
  *value = std::strtoll(word.c_str(), &end, 10);
  return !word.empty() && *end == '\0';
}

bool duration(const std::string& word, TimeUs* value) {
  char* end = nullptr;
  const double amount = std::strtod(word.c_str(), &end);
  const std::string unit = end;
  *value = static_cast<TimeUs>(amount * static_cast<double>(unit == "s" ? kSecondUs : 1000));
  return end != word.c_str() && (unit == "s" || unit == "ms");
}

bool Parser::device(const std::string& name, int* index) const {
  *index = 0;
  if (name == "central") return true;
  int64_t value = 0;
  if (name.rfind("stage-", 0) != 0 || !number(name.substr(6), &value) || value < 1) return false;
  *index = static_cast<int>(value);
  return true;
}

bool Parser::setting(const Words& words) {
  RunSpec& spec = scenario_.spec;
  if (words[0] == "sync" || words[0] == "async") {
    spec.sync = words[0] == "sync";
    return words.size() == 1;
  }
  if (words[0] == "dynamic") {
    spec.dynamic = true;
    return words.size() == 1;
  }
  if (words[0] == "task" && words.size() == 2) return duration(words[1], &spec.task_us);
  int64_t value = 0;
  if (words.size() < 2 || !number(words.back(), &value)) return false;
  const std::string key = words[0] + (words.size() == 3 ? " " + words[1] : "");
  if (key == "devices") {
    spec.stages = static_cast<int>(value) - 1;
  } else if (key == "layers") {
    spec.layers = static_cast<int>(value);
  } else if (key == "batches") {
    spec.batches = value;
  } else if (key == "epoch") {
    spec.batches_per_epoch = value;
  } else if (key == "micro-batches") {
    spec.micro_batches = static_cast<int>(value);
  } else if (key == "aggregate every") {
    spec.aggregate_every = static_cast<int>(value);
  } else if (key == "evaluate") {
    spec.evaluation_batches = value;
  } else if (key == "cut every") {
    spec.cut_every = value;
  } else if (key == "global every") {
    spec.global_every = value;
  } else if (key == "snapshots") {
    snapshot_bytes_ = value;
  } else if (key == "bandwidth") {
    spec.bytes_per_s = value;
  } else {
    return false;
  }
  return true;
}

bool Parser::trigger(const Words& words, size_t* used, Trigger* when) const {
  static const std::map<std::string, Moment> kMoments = {{"open", Moment::kOpen},
                                                         {"pause", Moment::kPause},
                                                         {"move", Moment::kMove},
                                                         {"seal", Moment::kSeal},
                                                         {"resume", Moment::kResume}};
  *used = 2;
  if (words.size() < 3) return false;
  if (words[0] == "at" && words[1] == "start") return true;
  if (words[0] == "at" && words[1] == "batch") {
    *used = 3;
    when->kind = Trigger::Kind::kBatch;
    return number(words[2], &when->batch);
  }
  if (words[0] == "in" && kMoments.count(words[1]) != 0) {
    when->kind = Trigger::Kind::kMoment;
    when->moment = kMoments.at(words[1]);
    return true;
  }
  return words[0] == "after" && duration(words[1], &when->delay);
}

// A fault without its trigger: KIND [DEVICE [DEVICE]] [for TIME].
bool Parser::what(Words words, Fault* fault) const {
  if (words.size() > 2 && words[words.size() - 2] == "for") {
    if (!duration(words.back(), &fault->duration)) return false;
    words.resize(words.size() - 2);
  }
  const std::string kind = words[0];
  for (int i = 0; i < kFaultKinds; ++i) {
    if (kind == name_of(static_cast<FaultKind>(i))) {
      fault->kind = static_cast<FaultKind>(i);
      break;
    }
    if (i + 1 == kFaultKinds) return false;
  }
  if (words.size() > 1 && !device(words[1], &fault->device)) return false;
  if (words.size() > 2 && !device(words[2], &fault->other)) return false;
  return words.size() <= 3;
}

bool Parser::fault(const Words& words) {
  Fault fault;
  size_t used = 0;
  if (!trigger(words, &used, &fault.when) || used >= words.size()) return false;
  if (!what(Words(words.begin() + static_cast<long>(used), words.end()), &fault)) return false;
  scenario_.faults.push_back(fault);
  return true;
}

bool Parser::expectation(const Words& words) {
  if (words.size() == 2 && (words[1] == "finished" || words[1] == "waiting")) {
    const bool finished = words[1] == "finished";
    scenario_.end = finished ? RunResult::End::kFinished : RunResult::End::kWaiting;
    return true;
  }
  if (words.size() == 4 && words[1] == "apart") {
    scenario_.apart = {words[2], words[3]};
    return true;
  }
  int64_t value = 0;
  if (words.size() < 3 || !number(words.back(), &value)) return false;
  if (words[1] == "replayed" && words[2] == "<=") {
    scenario_.replayed_max = value;
  } else if (words[1] == "reconfigurations") {
    scenario_.reconfigurations = static_cast<int>(value);
  } else if (words[1] == "stages") {
    scenario_.stages = static_cast<int>(value);
  } else if (words[1] == "refused") {
    scenario_.refused = static_cast<int>(value);
  } else {
    return false;
  }
  return true;
}

Result<Scenario> Parser::parse(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  for (int line_number = 1; std::getline(lines, line); ++line_number) {
    line = line.substr(0, line.find('#'));
    std::replace(line.begin(), line.end(), '/', '\n');
    std::istringstream parts(line);
    std::string part;
    while (std::getline(parts, part)) {
      std::istringstream stream(part);
      Words words;
      for (std::string word; stream >> word;) words.push_back(word);
      if (words.empty()) continue;
      const bool is_fault = words[0] == "at" || words[0] == "in" || words[0] == "after";
      const bool known = is_fault               ? fault(words)
                         : words[0] == "expect" ? expectation(words)
                                                : setting(words);
      if (!known) return invalid_error("line %d: cannot read '%s'", line_number, part.c_str());
    }
  }
  scenario_.spec.layer_bytes.assign(static_cast<size_t>(scenario_.spec.layers), snapshot_bytes_);
  return scenario_;
}

std::string compare(const Scenario& scenario, const RunResult& result) {
  if (result.end == RunResult::End::kViolation) return result.violation;
  if (result.faults_struck < scenario.faults.size()) {
    return format("only %zu of %zu faults struck", result.faults_struck, scenario.faults.size());
  }
  if (result.end != scenario.end) return "the run ended otherwise than expected";
  if (scenario.replayed_max >= 0 && result.replayed > scenario.replayed_max) {
    return format("%lld batches were replayed", static_cast<long long>(result.replayed));
  }
  if (scenario.reconfigurations >= 0 && result.reconfigurations - 1 != scenario.reconfigurations) {
    return format("%d reconfigurations", result.reconfigurations - 1);
  }
  const std::vector<std::string>& row = result.last_stages;
  if (scenario.stages >= 0 && static_cast<int>(row.size()) != scenario.stages) {
    return format("%zu stages in the end", row.size());
  }
  if (scenario.refused >= 0 && result.refused != scenario.refused) {
    return format("%d centrals were refused", result.refused);
  }
  for (size_t i = 1; i < row.size() && !scenario.apart.empty(); ++i) {
    const std::vector<std::string> pair = {std::min(row[i - 1], row[i]),
                                           std::max(row[i - 1], row[i])};
    if (pair == scenario.apart) return pair[0] + " and " + pair[1] + " are neighbours";
  }
  return "";
}

}  // namespace

Result<Scenario> parse_scenario(const std::string& text) { return Parser().parse(text); }

std::string play(const Scenario& scenario, uint64_t seed, bool keep_text, RunResult* result) {
  ClusterOptions options;
  options.seed = seed;
  options.spec = scenario.spec;
  options.faults = scenario.faults;
  options.keep_text = keep_text;
  options.heal = false;
  *result = Cluster(options).run();
  return compare(scenario, *result);
}

}  // namespace ft::sim
