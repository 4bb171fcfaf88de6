// FTPipeHD's own recovery rule beside ours: what do layers of different ages cost?
//
// Usage: mixed_ages [--seeds K] [--lose BATCH:STAGE,...] [MODEL.onnx and options of ftrun]
// Without a model the demo's run (script/demo) over 600 batches, read from the repository's root.
//
// Trains in this process, with the bits of the pipeline that `ftrun --role local` would start
// (runtime/node/oracle.h), under each of three rules and with each of K seeds. Right before BATCH
// the device of STAGE is lost: all batches before are finished, those in flight have left no trace.
// Another takes its place with the same layers.
//   undisturbed  nothing is lost
//   exact        all layers go back to the last cut and the batches since are trained again: ftrun
//   ages         the lost layers come back as they were at the last cut, the others stay as they
//                are, all with a fresh optimizer; nothing is trained again: FTPipeHD
// A cut is a replica, too, and there is one every --replicate-every batches.
//
// Prints a line for each run; then means over the seeds and, in pairs of the same seed, differences
// of the rules, with standard deviations in brackets. Accuracy is nan without a test split.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernels/gemm.h"
#include "partition/plan.h"
#include "runtime/node/board.h"
#include "runtime/node/compute_thread.h"
#include "runtime/node/oracle.h"
#include "runtime/pipeline/schedule.h"

namespace {

using ft::LayerState;

constexpr int64_t kSeedsMax = 1000;
constexpr size_t kFailuresMax = 1000;
constexpr int64_t kLastBatches = 50;   // whose loss is the final loss
constexpr int64_t kAfterBatches = 20;  // after a failure: where a rule shows first

// The replicas are 10, 25, 40 and 20 batches old then.
constexpr const char* kFailures = "110:1,225:2,340:1,470:2";
constexpr const char* kRun[] = {"examples/residual_cnn.onnx",
                                "--data",
                                "fashion-mnist",
                                "--stages",
                                "3",
                                "--batches",
                                "600",
                                "--replicate-every",
                                "50",
                                "--lr",
                                "0.05",
                                "--momentum",
                                "0.9",
                                "--threads",
                                "2"};

enum class Rule : uint8_t { kUndisturbed, kExact, kAges };
constexpr Rule kRules[] = {Rule::kUndisturbed, Rule::kExact, Rule::kAges};
constexpr const char* kRuleNames[] = {"undisturbed", "exact", "ages"};

struct Failure {
  int64_t batch = 0;  // the next to be trained
  int64_t stage = 0;
};

struct Setup {
  int64_t seeds = 5;
  std::vector<Failure> failures;
  ft::Options run;
};

// What is compared between runs.
enum Measure : size_t { kLoss, kLossAfter, kAccuracy, kAgain, kLost, kMeasures };

struct Outcome {
  double measures[kMeasures] = {};
  std::string hash;
};

bool parse_number(std::string_view text, int64_t* number) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && rest == text.data() + text.size() && *number >= 0;
}

ft::Result<std::vector<Failure>> parse_failures(std::string_view text) {
  std::vector<Failure> failures;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const size_t colon = word.find(':');
    Failure failure;
    if (colon == std::string_view::npos || !parse_number(word.substr(0, colon), &failure.batch) ||
        !parse_number(word.substr(colon + 1), &failure.stage)) {
      return ft::invalid_error("--lose %.*s: must be BATCH:STAGE,... such as %s",
                               static_cast<int>(word.size()), word.data(), kFailures);
    }
    if (!failures.empty() && failure.batch <= failures.back().batch) {
      return ft::invalid_error("--lose: batch %lld does not come after %lld; order them",
                               static_cast<long long>(failure.batch),
                               static_cast<long long>(failures.back().batch));
    }
    failures.push_back(failure);
  }
  if (failures.size() > kFailuresMax) {
    return ft::invalid_error("--lose: more than %zu failures", kFailuresMax);
  }
  return failures;
}

ft::Result<Setup> parse_setup(int argc, char** argv) {
  Setup setup;
  const char* failures = kFailures;
  int next = 1;
  for (; next + 1 < argc; next += 2) {
    const std::string_view option = argv[next];
    if (option == "--lose") {
      failures = argv[next + 1];
    } else if (option != "--seeds") {
      break;
    } else if (!parse_number(argv[next + 1], &setup.seeds) || setup.seeds < 1 ||
               setup.seeds > kSeedsMax) {
      return ft::invalid_error("--seeds %s: must be a number from 1 to %lld", argv[next + 1],
                               static_cast<long long>(kSeedsMax));
    }
  }
  FT_ASSIGN_OR_RETURN(setup.failures, parse_failures(failures));
  std::vector<const char*> words = {"ftrun", "--role", "local"};
  if (next < argc) {
    words.insert(words.end(), argv + next, argv + argc);
  } else {
    words.insert(words.end(), std::begin(kRun), std::end(kRun));
  }
  FT_ASSIGN_OR_RETURN(setup.run, ft::parse_options(static_cast<int>(words.size()), words.data()));
  const ft::Options& run = setup.run;
  if (run.command == ft::Command::kTrain && run.role == ft::Role::kLocal && !run.profile &&
      !run.resume && !run.replicate_auto && run.memory_bytes == 0 && run.slowdowns.empty()) {
    return setup;
  }
  return ft::invalid_error(
      "usage: mixed_ages [--seeds K] [--lose BATCH:STAGE,...] [MODEL.onnx and options of ftrun "
      "--role local, with a number as --replicate-every, without --memory and --slowdown]");
}

// As central cuts for processes that are equal.
ft::Result<std::vector<ft::LayerRange>> ranges_of(const ft::Options& run, const ft::Model& model) {
  constexpr std::string_view kFixed = "fixed:";
  if (run.partition.starts_with(kFixed)) {
    return ft::ranges_from_cuts(run.partition.substr(kFixed.size()), model.layer_count());
  }
  return ft::plan_ranges(ft::estimate_layer_costs(model),
                         std::vector<double>(static_cast<size_t>(run.stages), 1.0));
}

ft::Status check_failures(const Setup& setup, int64_t batches, size_t stages) {
  for (const Failure& failure : setup.failures) {
    if (failure.batch < batches && failure.stage >= 1 &&
        failure.stage < static_cast<int64_t>(stages)) {
      continue;
    }
    if (stages < 2) {
      return ft::invalid_error("--lose: one stage alone is central's; take more --stages");
    }
    return ft::invalid_error(
        "--lose %lld:%lld: there are batches 0 to %lld and, beside central's, stages 1 to %zu",
        static_cast<long long>(failure.batch), static_cast<long long>(failure.stage),
        static_cast<long long>(batches - 1), stages - 1);
  }
  return ft::Status();
}

// The state with an optimizer that has not stepped.
LayerState with_fresh_optimizer(const ft::LayerLayout& layout, const LayerState& state) {
  const ft::BufferPtr snapshot = ft::make_buffer(state.snapshot->size());
  std::memcpy(snapshot->data(), state.snapshot->data(), snapshot->size());
  const auto slots = static_cast<size_t>(layout.parameter_count * layout.slot_count);
  std::memset(snapshot->floats() + layout.parameter_count, 0, slots * 4);
  return {snapshot, state.statistics};
}

ft::Result<double> accuracy(const ft::TrainingJob& job, const std::vector<LayerState>& states,
                            ft::ThreadPool* pool) {
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<ft::RangeTrainer> whole,
                      ft::RangeTrainer::create(job.model, {0, job.model->layer_count()},
                                               ft::trainer_options(job.training), pool));
  whole->load(0, states);
  ft::BatchLoader loader(job.dataset.get(), job.batch_shape());
  const int64_t samples = job.training.evaluation_rows();
  int64_t correct = 0;
  for (int64_t batch = 0; batch < job.training.evaluation_batches(); ++batch) {
    const ft::LoadResult data = loader.evaluation({ft::LoadKind::kEvaluation, 0, batch, 0, 0});
    const int64_t rows = std::min(job.model->batch, samples - batch * job.model->batch);
    FT_ASSIGN_OR_RETURN(const ft::RangeTrainer::EvaluationResult result,
                        whole->evaluate(0, {data.input}, data.labels, rows));
    correct += result.loss.correct;
  }
  return samples > 0 ? static_cast<double>(correct) / static_cast<double>(samples) : std::nan("");
}

// One run under one rule.
class Trial {
 public:
  Trial(const ft::TrainingJob* job, const std::vector<ft::LayerRange>& ranges, ft::ThreadPool* pool)
      : job_(*job), ranges_(ranges), pool_(pool), oracle_(job, pool) {}

  ft::Result<Outcome> run(Rule rule, const std::vector<Failure>& failures) {
    const int64_t batches = job_.training.batches();
    std::vector<double> losses(static_cast<size_t>(batches));
    cut_states_ = oracle_.initial_states();
    FT_RETURN_IF_ERROR(oracle_.resume(ranges_, cut_, cut_states_));
    size_t lost = 0;
    while (oracle_.version() + 1 < batches) {
      const int64_t batch = oracle_.version() + 1;
      if (rule != Rule::kUndisturbed && lost < failures.size() && failures[lost].batch == batch) {
        const Failure& failure = failures[lost++];
        FT_RETURN_IF_ERROR(rule == Rule::kExact ? go_back() : mix_ages(failure));
        continue;
      }
      FT_RETURN_IF_ERROR(oracle_.train_batch());
      losses[static_cast<size_t>(batch)] = oracle_.loss();
      if (!ft::is_cut(job_.training, batch)) continue;
      cut_ = batch;
      cut_states_ = oracle_.states();
    }
    return finish(losses, failures);
  }

 private:
  ft::Status go_back() {
    outcome_.measures[kAgain] += static_cast<double>(oracle_.version() - cut_);
    return oracle_.resume(ranges_, cut_, cut_states_);
  }

  ft::Status mix_ages(const Failure& failure) {
    const ft::LayerRange& range = ranges_[static_cast<size_t>(failure.stage)];
    std::vector<LayerState> states = oracle_.states();
    for (size_t layer = 0; layer < states.size(); ++layer) {
      const ft::LayerLayout& layout = oracle_.layouts()[layer];
      const bool lost =
          static_cast<int>(layer) >= range.first && static_cast<int>(layer) < range.last;
      states[layer] = with_fresh_optimizer(layout, lost ? cut_states_[layer] : states[layer]);
      if (!lost || layout.parameter_count == 0) continue;
      outcome_.measures[kLost] += static_cast<double>(oracle_.version() - cut_);
    }
    return oracle_.resume(ranges_, oracle_.version(), states);
  }

  ft::Result<Outcome> finish(const std::vector<double>& losses,
                             const std::vector<Failure>& failures) {
    const auto batches = static_cast<int64_t>(losses.size());
    const auto mean = [&](int64_t first, int64_t last) {
      return std::accumulate(losses.begin() + first, losses.begin() + last, 0.0) /
             static_cast<double>(last - first);
    };
    outcome_.measures[kLoss] = mean(std::max<int64_t>(batches - kLastBatches, 0), batches);
    for (const Failure& failure : failures) {
      outcome_.measures[kLossAfter] +=
          mean(failure.batch, std::min(failure.batch + kAfterBatches, batches)) /
          static_cast<double>(failures.size());
    }
    const std::vector<LayerState> states = oracle_.states();
    FT_ASSIGN_OR_RETURN(const double share, accuracy(job_, states, pool_));
    outcome_.measures[kAccuracy] = 100 * share;
    outcome_.hash = oracle_.hash(states);
    return outcome_;
  }

  const ft::TrainingJob& job_;
  const std::vector<ft::LayerRange>& ranges_;
  ft::ThreadPool* pool_;
  ft::Oracle oracle_;
  int64_t cut_ = -1;  // the last, and all layers there
  std::vector<LayerState> cut_states_;
  Outcome outcome_;
};

// Mean and standard deviation of each measure; with `base`, of what differs from that rule.
void print_summary(const std::vector<Outcome> (&outcomes)[3], Rule rule, const Rule* base) {
  std::string name = kRuleNames[static_cast<size_t>(rule)];
  if (base != nullptr) name += std::string(" - ") + kRuleNames[static_cast<size_t>(*base)];
  std::printf("%-19s", name.c_str());
  const auto seeds = static_cast<double>(outcomes[0].size());
  for (size_t measure = 0; measure < kAgain; ++measure) {
    std::vector<double> values;
    for (size_t k = 0; k < outcomes[0].size(); ++k) {
      values.push_back(outcomes[static_cast<size_t>(rule)][k].measures[measure]);
      if (base != nullptr) values[k] -= outcomes[static_cast<size_t>(*base)][k].measures[measure];
    }
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / seeds;
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    std::printf(base != nullptr ? "  %+8.4f (%.4f)" : "  %8.4f (%.4f)", mean,
                seeds > 1 ? std::sqrt(squares / (seeds - 1)) : 0.0);
  }
  std::printf("\n");
}

ft::Status run(const Setup& setup) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  ft::ThreadPool pool(setup.run.threads > 0 ? setup.run.threads : cores);
  std::vector<Outcome> outcomes[3];  // by rule
  std::printf("%-11s  seed    loss  loss after  accuracy  trained again  updates lost\n", "rule");
  for (int64_t k = 0; k < setup.seeds; ++k) {
    ft::Options options = setup.run;
    options.seed += static_cast<uint64_t>(k);
    FT_ASSIGN_OR_RETURN(const ft::TrainingJob job, ft::make_job(options));
    FT_ASSIGN_OR_RETURN(const std::vector<ft::LayerRange> ranges, ranges_of(options, *job.model));
    FT_RETURN_IF_ERROR(check_failures(setup, job.training.batches(), ranges.size()));
    for (const Rule rule : kRules) {
      const auto index = static_cast<size_t>(rule);
      FT_ASSIGN_OR_RETURN(const Outcome outcome,
                          Trial(&job, ranges, &pool).run(rule, setup.failures));
      const double* m = outcome.measures;
      std::printf("%-11s  %4llu  %6.4f  %10.4f  %8.2f  %13.0f  %12.0f  weights_sha256 %s\n",
                  kRuleNames[index], static_cast<unsigned long long>(options.seed), m[kLoss],
                  m[kLossAfter], m[kAccuracy], m[kAgain], m[kLost], outcome.hash.c_str());
      std::fflush(stdout);
      outcomes[index].push_back(outcome);
    }
  }
  std::printf("\n%-19s  %17s  %17s  %18s\n", "mean (deviation)", "loss", "loss after", "accuracy");
  for (const Rule rule : kRules) print_summary(outcomes, rule, nullptr);
  print_summary(outcomes, Rule::kExact, &kRules[0]);
  print_summary(outcomes, Rule::kAges, &kRules[0]);
  print_summary(outcomes, Rule::kAges, &kRules[1]);
  return ft::Status();
}

}  // namespace

int main(int argc, char** argv) {
  ft::restart_with_blas_core(ft::missed_blas_core(), argv);
  const ft::Result<Setup> setup = parse_setup(argc, argv);
  const ft::Status status = setup.ok() ? run(*setup) : setup.status();
  if (!status.ok()) std::fprintf(stderr, "mixed_ages: %s\n", status.message().c_str());
  return static_cast<int>(status.code());
}
