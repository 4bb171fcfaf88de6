// `ftrun plan MODEL.onnx --devices FILE`: what the planner makes of a model and devices. Times are
// measured here; a device of capacity c takes 1/c of them.

#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "onnx_import/import.h"
#include "runtime/base/file.h"
#include "runtime/node/commands.h"
#include "runtime/node/devices_file.h"
#include "runtime/node/measure_model.h"
#include "runtime/node/memory_rule.h"
#include "runtime/observe/plan_picture.h"
#include "runtime/pipeline/plan_report.h"

namespace ft {
namespace {

using Json = nlohmann::ordered_json;

struct Verdict {
  std::string best;  // the fastest single device
  double best_images_per_second = 0;
  double times = 0;  // of the plan, as many as that
};

Result<Verdict> compare_with_best(const PlanRequest& request, const PlanReport& plan,
                                  int64_t batch_size) {
  Verdict verdict;
  for (size_t i = 0; i < request.devices.size(); ++i) {
    PlanRequest alone = request;
    alone.devices = {request.devices[i]};
    alone.links.clear();
    alone.unreachable.clear();
    const Result<Plan> made = make_plan(alone);
    if (!made.ok()) continue;  // it has no room for the model
    const double rate = 1e6 * static_cast<double>(batch_size) / made->batch_us;
    if (rate <= verdict.best_images_per_second) continue;
    verdict.best_images_per_second = rate;
    verdict.best = request.devices[i].name;
  }
  if (!verdict.best.empty())
    verdict.times = plan.images_per_second / verdict.best_images_per_second;
  return verdict;
}

std::string verdict_text(const PlanReport& plan, const Verdict& verdict) {
  int used = 0;
  for (const PlannedDevice& device : plan.devices) used += device.range.count() > 0 ? 1 : 0;
  if (verdict.best.empty()) {
    return format("%d devices; no single one has room for the model\n", used);
  }
  if (used == 1) return "use one: " + plan.devices[0].name + "\n";
  return format("%d devices are %.2f times the best one, %s (%.0f images/s)\n", used, verdict.times,
                verdict.best.c_str(), verdict.best_images_per_second);
}

std::string to_json(const Options& options, const PlanReport& plan, const Verdict& verdict) {
  Json devices = Json::array();
  for (const PlannedDevice& device : plan.devices) {
    devices.push_back({{"name", device.name},
                       {"first", device.range.first},
                       {"last", device.range.last},
                       {"compute_ms", device.compute_us / 1e3},
                       {"transfer_ms", device.transfer_us / 1e3},
                       {"memory_bytes", device.memory_bytes}});
  }
  Json json = {{"model", options.model},
               {"batch_size", options.batch_size},
               {"schedule", options.sync ? "sync" : "async"},
               {"devices", devices},
               {"images_per_second", plan.images_per_second},
               {"bottleneck", plan.bottleneck}};
  json["best_device"] = verdict.best.empty() ? Json() : Json(verdict.best);
  json["times_the_best"] = verdict.best.empty() ? Json() : Json(verdict.times);
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Status plan(const Options& options) {
  if (options.sync && options.batch_size % options.micro_batches != 0) {
    return invalid_error("--micro-batches %d: does not divide --batch-size %lld",
                         options.micro_batches, static_cast<long long>(options.batch_size));
  }
  FT_ASSIGN_OR_RETURN(DevicesFile file, read_devices_file(options.devices));
  FT_ASSIGN_OR_RETURN(const BufferPtr bytes, read_file(options.model));
  TrainerOptions trainer;
  trainer.optimizer = options.optimizer;
  trainer.batch_size = options.batch_size;
  trainer.micro_batches = options.sync ? options.micro_batches : 1;
  ImportOptions import_options;
  import_options.batch = options.batch_size / trainer.micro_batches;
  import_options.micro_batches = trainer.micro_batches;
  import_options.roles = options.roles;
  Result<Model> imported = import_model(bytes->bytes(), import_options);
  if (!imported.ok()) {
    return invalid_error("%s: %s", options.model.c_str(), imported.status().message().c_str());
  }
  const auto model = std::make_shared<const Model>(std::move(*imported));
  FT_ASSIGN_OR_RETURN(ModelSizes sizes, sizes_of(*model, trainer));
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : cores;
  FT_ASSIGN_OR_RETURN(const ModelTimes times,
                      measure_model(model, trainer, threads, Slowdown(), options.memory_bytes));

  PlanRequest request;
  request.sync = options.sync;
  request.micro_batches = trainer.micro_batches;
  request.layers = std::move(sizes.layers);
  request.cuts = std::move(sizes.cuts);
  request.range_bytes = range_bytes_of(model, trainer, kCutsHeld, true);
  ProcessMemory process;
  process.threads = threads;
  process.has_peers = process.keeps_file = true;
  process.file_bytes = static_cast<int64_t>(bytes->size());
  const ProcessSize size = process_size_of(*model, process);
  request.links = std::move(file.links);
  request.unreachable = std::move(file.unreachable);
  for (const DevicesFile::Device& device : file.devices) {
    DeviceCost cost;
    cost.name = device.name;
    for (const double us : times.layer_us) cost.layer_us.push_back(us / device.capacity);
    cost.process_bytes = size.held_bytes;
    if (device.memory_bytes > 0) cost.memory_bytes = memory_for_ranges(device.memory_bytes, size);
    request.devices.push_back(std::move(cost));
  }
  FT_ASSIGN_OR_RETURN(const Plan made, make_plan(request));
  const PlanReport report = report_of(request, made, options.batch_size);
  FT_ASSIGN_OR_RETURN(const Verdict verdict,
                      compare_with_best(request, report, options.batch_size));
  if (options.json) {
    std::printf("%s\n", to_json(options, report, verdict).c_str());
  } else {
    std::printf("%s, %s, batch size %lld, %d thread%s measured here\n%s%s", options.model.c_str(),
                options.sync ? "sync" : "async", static_cast<long long>(options.batch_size),
                threads, threads == 1 ? "" : "s", plan_picture(report).c_str(),
                verdict_text(report, verdict).c_str());
  }
  return Status();
}

}  // namespace ft
