#include "runtime/observe/events.h"

#include <nlohmann/json.hpp>

#include "runtime/base/status.h"
#include "runtime/observe/story.h"

namespace ft {
namespace {

using Json = nlohmann::ordered_json;

// Paths and names need not be UTF-8; JSON must.
std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double seconds(TimeUs us) { return static_cast<double>(us) / 1e6; }

Json to_json(const ReconfiguredReport& report) {
  Json ranges = Json::array();
  for (const DeviceReport& stage : report.stages) {
    ranges.push_back(
        {{"name", stage.name}, {"first", stage.range.first}, {"last", stage.range.last}});
    if (stage.memory_bytes > 0) ranges.back()["memory_bytes"] = stage.memory_bytes;
  }
  Json json = {{"event", "reconfigured"},
               {"term", report.term},
               {"reason", report.reason},
               {"ranges", ranges},
               {"resume_batch", report.resume_batch},
               {"replayed", report.replayed},
               {"moved_bytes", report.moved_bytes},
               {"seconds", seconds(report.phases.total_us())},
               {"phases",
                {{"detect", seconds(report.phases.detect_us)},
                 {"pause", seconds(report.phases.pause_us)},
                 {"choose", seconds(report.phases.choose_us)},
                 {"move", seconds(report.phases.move_us)},
                 {"resume", seconds(report.phases.resume_us)}}},
               {"exact", report.exact}};
  if (report.plan.batch_us > 0) {
    json["predicted_images_per_second"] = report.plan.images_per_second;
    json["bottleneck"] = report.plan.bottleneck;
  }
  return json;
}

Json to_json(const DeviceJoinedReport& report) {
  return {{"event", "device_joined"}, {"name", report.name}, {"devices", report.devices}};
}

Json to_json(const DeviceLostReport& report) {
  return {{"event", "device_lost"},
          {"name", report.name},
          {"cause", report.cause},
          {"devices", report.devices}};
}

Json to_json(const DeviceLeftReport& report) {
  return {{"event", "device_left"}, {"name", report.name}, {"devices", report.devices}};
}

Json to_json(const UnreachableReport& report) {
  return {{"event", "unreachable"}, {"from", report.from}, {"to", report.to}};
}

Json to_json(const ForeignRunReport& report) {
  return {{"event", "foreign_run"}, {"name", report.name}, {"run", report.run}};
}

Json to_json(const StrangerReport& report) {
  return {{"event", "stranger"},
          {"fingerprint", report.fingerprint},
          {"address", report.address},
          {"reason", report.reason},
          {"count", report.count}};
}

Json to_json(const DamagedReport& report) {
  return {{"event", "damaged"},
          {"name", report.name},
          {"layer", report.layer},
          {"batch", report.version}};
}

Json to_json(const CutsReport& report) {
  return {{"event", "cuts"},
          {"every", report.every},
          {"cut_seconds", seconds(report.cut_us)},
          {"batch_seconds", seconds(report.batch_us)}};
}

Json to_json(const PredictionReport& report) {
  return {{"event", "prediction"},
          {"predicted_images_per_second", report.predicted_images_per_second},
          {"images_per_second", report.images_per_second}};
}

Json to_json(const NoRoomReport& report) { return {{"event", "no_room"}, {"text", report.text}}; }

Json to_json(const StoringReport& report) {
  return {{"event", "storing"}, {"text", report.text}, {"seconds", seconds(report.us)}};
}

Json to_json(const WaitingReport& report) {
  return {{"event", "waiting"},
          {"batch", report.version},
          {"layers", report.layers},
          {"holders", report.holders}};
}

Json to_json(const BegunAgainReport& report) {
  return {{"event", "begun_again"}, {"batch", report.version}, {"layers", report.layers}};
}

Json to_json(const WaitingForRunReport& report) {
  return {{"event", "waiting_for_run"}, {"stages", report.stages}};
}

Json to_json(const BatchReport& report) {
  Json json = {{"event", "batch"},
               {"batch", report.batch},
               {"loss", report.loss},
               {"accuracy", report.accuracy}};
  if (report.replayed) json["replayed"] = true;
  return json;
}

Json to_json(const LossGrownReport& report) {
  return {{"event", "warning"},
          {"batch", report.batch},
          {"since_batch", report.since},
          {"factor", report.factor},
          {"text", loss_grown_text(report)}};
}

Json to_json(const EvaluatedReport& report) {
  return {{"event", "evaluated"},        {"epoch", report.epoch}, {"batch", report.version},
          {"accuracy", report.accuracy}, {"loss", report.loss},   {"samples", report.rows}};
}

}  // namespace

std::string stamped(std::string json, double time_s) {
  json.pop_back();
  return json + format(",\"time\":%.3f}", time_s);
}

std::string event_json(const StartedInfo& info) {
  Json json = {{"event", "started"},
               {"run", info.run},
               {"model", info.model},
               {"data", info.data},
               {"schedule", info.schedule},
               {"micro_batches", info.micro_batches},
               {"batch_size", info.batch_size},
               {"batches", info.batches},
               {"batches_per_epoch", info.batches_per_epoch},
               {"run_dir", info.run_directory}};
  if (!info.central.empty()) json["central"] = info.central;
  json["notes"] = info.notes;
  return to_line(json);
}

std::string event_json(const FinishedInfo& info) {
  Json json = {{"event", "finished"},
               {"batches", info.batches},
               {"images_per_second", info.images_per_second},
               {"loss", nullptr},
               {"accuracy", nullptr},
               {"weights_sha256", info.weights_sha256},
               {"exact", info.exact},
               {"seconds", info.seconds},
               {"bytes",
                {{"activations_and_gradients", info.bytes.activations + info.bytes.gradients},
                 {"activations", info.bytes.activations},
                 {"gradients", info.bytes.gradients},
                 {"labels", info.bytes.labels},
                 {"control", info.bytes.control},
                 {"replicas", info.bytes.replicas},
                 {"model", info.bytes.model}}}};
  if (info.batches > 0) json["loss"] = info.loss;
  if (info.evaluated) json["accuracy"] = info.accuracy;
  if (!info.exported.empty()) json["exported"] = info.exported;
  if (info.interrupted) json["interrupted"] = true;
  return to_line(json);
}

std::string event_json(const Report& report, double images_per_second) {
  Json json = std::visit([](const auto& kind) { return to_json(kind); }, report);
  if (std::holds_alternative<BatchReport>(report)) json["images_per_second"] = images_per_second;
  return to_line(json);
}

}  // namespace ft
