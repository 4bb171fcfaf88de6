// `ftrun MODEL.onnx --profile`: where the time of a training step goes on this machine.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "kernels/gemm.h"
#include "onnx_import/import.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/exec/made_up_run.h"
#include "runtime/node/commands.h"

namespace ft {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kWarmUpSteps = 2;
constexpr int kStepsMin = 3;
constexpr int kStepsMax = 50;
constexpr TimeUs kEnoughUs = 3 * kSecondUs;
constexpr int kPeakRounds = 5;
constexpr int64_t kPeakGemm = 768;
constexpr size_t kPeakCopyBytes = size_t{64} << 20;

// What this machine does at best with these threads.
struct Peaks {
  double gflops = 0;
  double gigabytes = 0;  // a second, read and written
};

// Of one kind of operator, or of a layer.
struct Share {
  int nodes = 0;
  double forward_us = 0;
  double backward_us = 0;
  double flops = 0;
  double bytes = 0;
  double total_us() const { return forward_us + backward_us; }
  double gflops() const { return total_us() > 0 ? flops / total_us() / 1e3 : 0; }
  double gigabytes() const { return total_us() > 0 ? bytes / total_us() / 1e3 : 0; }
};

struct Profile {
  int steps = 0;
  double step_us = 0;  // mean; all of forward, backward and optimizer step
  double optimizer_us = 0;
  double kernels_us = 0;
  std::map<std::string, Share> kinds;
  std::vector<Share> layers;
  // Loss, copies, bookkeeping.
  double rest_us() const { return std::max(step_us - optimizer_us - kernels_us, 0.0); }
};

template <typename Function>
double best_us(const Function& fn) {
  double best = 0;
  for (int round = 0; round < kPeakRounds; ++round) {
    const TimeUs began = monotonic_now_us();
    fn();
    const auto us = static_cast<double>(std::max<TimeUs>(monotonic_now_us() - began, 1));
    best = round == 0 ? us : std::min(best, us);
  }
  return best;
}

Peaks measure_peaks(ThreadPool* pool) {
  Peaks peaks;
  const int64_t n = kPeakGemm;
  const BufferPtr buffer = make_buffer(std::max<size_t>(3 * 4 * n * n, 2 * kPeakCopyBytes));
  std::fill_n(buffer->data(), buffer->size(), std::byte{0});
  float* const a = buffer->floats();
  const GemmShape square = {.m = n, .n = n, .k = n, .lda = n, .ldb = n, .ldc = n};
  const double gemm_us = best_us([&] { gemm(square, a, a + n * n, nullptr, a + 2 * n * n, pool); });
  peaks.gflops = 2.0 * static_cast<double>(n * n * n) / gemm_us / 1e3;
  const size_t part = kPeakCopyBytes / static_cast<size_t>(pool->threads());
  const double copy_us = best_us([&] {
    pool->run(pool->threads(), [&](int64_t i) {
      std::byte* const from = buffer->data() + static_cast<size_t>(i) * part;
      std::memcpy(from + kPeakCopyBytes, from, part);
    });
  });
  peaks.gigabytes = 2.0 * static_cast<double>(kPeakCopyBytes) / copy_us / 1e3;
  return peaks;
}

// "Conv 3x3 depthwise": kernels of a kind behave alike.
std::string kind_of(const Model& model, const Node& node) {
  std::string kind = node.op->name;
  if (kind != "Conv") return kind;
  const Shape& weight = model.value(node.inputs[1]).type.shape;
  std::string size;
  for (int axis = 2; axis < weight.rank(); ++axis) {
    size += (size.empty() ? " " : "x") + std::to_string(weight.dim(axis));
  }
  const auto groups = node.attributes.get_int("group", 1);
  return kind + size + (groups.ok() && *groups > 1 ? " grouped" : "");
}

// FLOPs of forward and backward: backward costs as much again for each of the two gradients that
// is wanted. Bytes: all tensors in and out, once forward and twice backward.
Share work_of(const Model& model, const Node& node, double forward_flops) {
  Share work;
  work.nodes = 1;
  double gradients = 0;
  double bytes = 0;
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) continue;
    bytes += static_cast<double>(model.value(id).type.bytes());
    gradients += model.value(id).needs_gradient ? 1 : 0;
  }
  for (const ValueId id : node.outputs) {
    if (id != kNoValue) bytes += static_cast<double>(model.value(id).type.bytes());
  }
  work.flops = forward_flops * (1 + std::min(gradients, 2.0));
  work.bytes = bytes * (gradients > 0 ? 3 : 1);
  return work;
}

void add(Share* sum, const Share& part) {
  sum->nodes += part.nodes;
  sum->forward_us += part.forward_us;
  sum->backward_us += part.backward_us;
  sum->flops += part.flops;
  sum->bytes += part.bytes;
}

// By the clock, of each node.
struct NodeTimes : KernelWatch {
  struct Times {
    TimeUs forward_us = 0;
    TimeUs backward_us = 0;
  };
  std::vector<Times> nodes;
  TimeUs began = 0;

  explicit NodeTimes(size_t count) : nodes(count) {}
  void before() override { began = monotonic_now_us(); }
  void after(int32_t node, bool backward) override {
    Times& times = nodes[static_cast<size_t>(node)];
    (backward ? times.backward_us : times.forward_us) += monotonic_now_us() - began;
  }
};

Result<Profile> run_profile(const std::shared_ptr<const Model>& model,
                            const TrainerOptions& options, ThreadPool* pool) {
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<MadeUpRun> run,
                      MadeUpRun::create(model, {0, model->layer_count()}, options, pool));
  NodeTimes times(model->nodes.size());
  Profile profile;
  TimeUs total_us = 0;
  TimeUs optimizer_us = 0;
  for (int step = -kWarmUpSteps; step < kStepsMax; ++step) {
    if (step == 0) run->trainer().executor().watch(&times);
    const TimeUs began = monotonic_now_us();
    FT_RETURN_IF_ERROR(run->forward());
    run->backward();
    const TimeUs passed = monotonic_now_us();
    run->step();
    if (step < 0) continue;
    optimizer_us += monotonic_now_us() - passed;
    total_us += monotonic_now_us() - began;
    ++profile.steps;
    if (profile.steps >= kStepsMin && total_us >= kEnoughUs) break;
  }
  profile.step_us = static_cast<double>(total_us) / profile.steps;
  profile.optimizer_us = static_cast<double>(optimizer_us) / profile.steps;
  const std::vector<KernelPlan>& plans = run->trainer().executor().train().plans;
  for (const Layer& layer : model->layers) {
    Share& sum = profile.layers.emplace_back();
    for (int32_t i = layer.node_first; i < layer.node_last; ++i) {
      const auto at = static_cast<size_t>(i);
      if (plans[at].is_view) continue;
      Share work = work_of(*model, model->nodes[at], plans[at].flops);
      work.forward_us = static_cast<double>(times.nodes[at].forward_us) / profile.steps;
      work.backward_us = static_cast<double>(times.nodes[at].backward_us) / profile.steps;
      profile.kernels_us += work.total_us();
      add(&profile.kinds[kind_of(*model, model->nodes[at])], work);
      add(&sum, work);
    }
  }
  return profile;
}

std::vector<std::pair<std::string, Share>> by_time(const std::map<std::string, Share>& kinds) {
  std::vector<std::pair<std::string, Share>> sorted(kinds.begin(), kinds.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second.total_us() > b.second.total_us();
  });
  return sorted;
}

void print_row(const std::string& name, int width, const Share& row, const Profile& profile,
               const Peaks& peaks) {
  std::printf("%-*s %5d %9.2f %9.2f %6.1f %% %8.1f %5.0f %% %7.1f %5.0f %%\n", width, name.c_str(),
              row.nodes, row.forward_us / 1e3, row.backward_us / 1e3,
              100 * row.total_us() / profile.step_us, row.gflops(),
              100 * row.gflops() / peaks.gflops, row.gigabytes(),
              100 * row.gigabytes() / peaks.gigabytes);
}

void print_text(const Options& options, const Model& model, const Profile& profile,
                const Peaks& peaks, int threads) {
  std::printf("%s, batch size %lld, %d thread%s: %.2f ms a step (mean of %d), %.0f images/s\n",
              options.model.c_str(), static_cast<long long>(model.batch), threads,
              threads == 1 ? "" : "s", profile.step_us / 1e3, profile.steps,
              1e6 * static_cast<double>(model.batch) / profile.step_us);
  std::printf("this machine at best: %.1f GFLOP/s in a matrix product, %.1f GB/s in a copy\n\n",
              peaks.gflops, peaks.gigabytes);
  const auto header = [](const char* what, int width) {
    std::printf("%-*s nodes   forward  backward    share  GFLOP/s of best    GB/s of best\n", width,
                what);
  };
  size_t kind_width = 8;
  for (const auto& [kind, row] : profile.kinds) kind_width = std::max(kind_width, kind.size());
  header("operator", static_cast<int>(kind_width));
  for (const auto& [kind, row] : by_time(profile.kinds)) {
    print_row(kind, static_cast<int>(kind_width), row, profile, peaks);
  }
  std::printf(
      "optimizer step %.2f ms (%.1f %%); loss, copies and bookkeeping %.2f ms (%.1f %%)\n\n",
      profile.optimizer_us / 1e3, 100 * profile.optimizer_us / profile.step_us,
      profile.rest_us() / 1e3, 100 * profile.rest_us() / profile.step_us);
  size_t width = 8;
  for (const Layer& layer : model.layers) width = std::max(width, layer.name.size() + 4);
  width = std::min<size_t>(width, 60);
  header("layer", static_cast<int>(width));
  for (size_t i = 0; i < profile.layers.size(); ++i) {
    std::string name = model.layers[i].name;
    if (name.size() > width - 4) name = ".." + name.substr(name.size() - width + 6);
    print_row(format("%3zu %s", i, name.c_str()), static_cast<int>(width), profile.layers[i],
              profile, peaks);
  }
}

Json to_json(const std::string& name, const Share& row) {
  return {{"name", name},
          {"nodes", row.nodes},
          {"forward_us", row.forward_us},
          {"backward_us", row.backward_us},
          {"gflops", row.gflops()},
          {"gigabytes_per_second", row.gigabytes()}};
}

void print_json(const Options& options, const Model& model, const Profile& profile,
                const Peaks& peaks, int threads) {
  Json json = {{"model", options.model},
               {"batch_size", model.batch},
               {"threads", threads},
               {"steps", profile.steps},
               {"step_us", profile.step_us},
               {"optimizer_us", profile.optimizer_us},
               {"rest_us", profile.rest_us()},
               {"peak_gflops", peaks.gflops},
               {"peak_gigabytes_per_second", peaks.gigabytes}};
  json["operators"] = Json::array();
  for (const auto& [kind, row] : by_time(profile.kinds)) {
    json["operators"].push_back(to_json(kind, row));
  }
  json["layers"] = Json::array();
  for (size_t i = 0; i < profile.layers.size(); ++i) {
    json["layers"].push_back(to_json(model.layers[i].name, profile.layers[i]));
  }
  std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

}  // namespace

Status profile(const Options& options) {
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(options.model));
  ImportOptions import_options;
  import_options.batch = options.batch_size;
  import_options.cross_entropy = options.loss == LossKind::kCrossEntropy;
  import_options.roles = options.roles;
  Result<Model> imported = import_model(file->bytes(), import_options);
  if (!imported.ok()) {
    return invalid_error("%s: %s", options.model.c_str(), imported.status().message().c_str());
  }
  const auto model = std::make_shared<const Model>(std::move(*imported));
  TrainerOptions trainer;
  trainer.optimizer = options.optimizer;
  trainer.loss = options.loss;
  trainer.batch_size = model->batch;
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : cores;
  ThreadPool pool(threads);
  const Peaks peaks = measure_peaks(&pool);
  FT_ASSIGN_OR_RETURN(const Profile made, run_profile(model, trainer, &pool));
  const auto print = options.json ? print_json : print_text;
  print(options, *model, made, peaks, threads);
  return Status();
}

}  // namespace ft
