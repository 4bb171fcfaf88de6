#include "onnx_import/report.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "onnx_import/tensors.h"

namespace ft {
namespace {

double forward_flops(const Model& model, int32_t index) {
  const Node& node = model.nodes[static_cast<size_t>(index)];
  const std::vector<OpInput> inputs = op_inputs(model, node);
  OpRequest request;
  request.attributes = &node.attributes;
  request.inputs = inputs;
  request.output_count = static_cast<int>(node.outputs.size());
  request.opset = node.opset;
  request.node = static_cast<uint32_t>(index);
  const Result<KernelPlan> plan = node.op->make(request);
  FT_CHECK(plan.ok());  // it was when the model was imported
  return plan->flops;
}

LayerReport report_layer(const Model& model, const Layer& layer) {
  LayerReport report;
  report.name = layer.name;
  for (int32_t i = layer.node_first; i < layer.node_last; ++i) {
    const Node& node = model.nodes[static_cast<size_t>(i)];
    report.ops.push_back(node.op->name);
    report.flops += forward_flops(model, i);
    for (const ValueId id : node.outputs) {
      if (id != kNoValue && model.value(id).kind == ValueKind::kActivation) {
        report.output_bytes += model.value(id).type.bytes();
      }
    }
  }
  for (const ValueId id : layer.parameters) {
    report.parameter_count += model.value(id).type.shape.element_count();
    report.parameter_bytes += model.value(id).type.bytes();
  }
  for (const ValueId id : layer.statistics) report.statistic_bytes += model.value(id).type.bytes();
  return report;
}

std::string human_bytes(int64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (bytes < 1024) return format("%lld B", static_cast<long long>(bytes));
  if (bytes < 1024 * 1024) return format("%.1f KiB", value / 1024);
  return format("%.1f MiB", value / (1024 * 1024));
}

std::string human_flops(double flops) {
  if (flops < 1e6) return format("%.1f k", flops / 1e3);
  if (flops < 1e9) return format("%.1f M", flops / 1e6);
  return format("%.2f G", flops / 1e9);
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// A scalar of the program is nobody's tensor.
bool is_listed(const TensorInfo& tensor) {
  return tensor.role != TensorRole::kConstant || tensor.constant_node < 0 ||
         (tensor.is_float && tensor.shape.element_count() > 1);
}

std::string role_text(const TensorInfo& tensor) {
  if (!tensor.tied_to.empty()) return "tied to '" + tensor.tied_to + "'";
  return to_string(tensor.role) +
         (tensor.copy_of.empty() ? "" : ", copy of '" + tensor.copy_of + "'");
}

std::string render_tensors(const std::vector<TensorInfo>& tensors) {
  size_t name_width = 4;
  size_t shape_width = 5;
  size_t role_width = 4;
  for (const TensorInfo& tensor : tensors) {
    name_width = std::max(name_width, std::min<size_t>(tensor.name.size(), 60));
    shape_width = std::max(shape_width, to_string(tensor.shape).size());
    role_width = std::max(role_width, std::min<size_t>(role_text(tensor).size(), 40));
  }
  const auto line = [&](const std::string& name, const std::string& shape,
                        const std::string& elements, const std::string& role,
                        const std::string& reason) {
    return format("%-*s  %-*s %12s  %-*s  %s\n", static_cast<int>(name_width), name.c_str(),
                  static_cast<int>(shape_width), shape.c_str(), elements.c_str(),
                  static_cast<int>(role_width), role.c_str(), reason.c_str());
  };
  std::string text = "\n" + line("tensor", "shape", "elements", "role", "reason");
  for (const TensorInfo& tensor : tensors) {
    text += line(tensor.name, to_string(tensor.shape), std::to_string(tensor.shape.element_count()),
                 role_text(tensor), tensor.reason);
  }
  return text;
}

nlohmann::ordered_json to_json(const TensorInfo& tensor) {
  const auto dims = tensor.shape.dims();
  nlohmann::ordered_json json = {{"name", tensor.name},
                                 {"shape", std::vector<int64_t>(dims.begin(), dims.end())},
                                 {"elements", tensor.shape.element_count()},
                                 {"role", to_string(tensor.role)},
                                 {"reason", tensor.reason}};
  if (!tensor.tied_to.empty()) json["tied_to"] = tensor.tied_to;
  if (!tensor.copy_of.empty()) json["copy_of"] = tensor.copy_of;
  return json;
}

}  // namespace

ModelReport make_report(const Model& model) {
  ModelReport report;
  report.batch = model.batch;
  report.notes = model.notes;
  std::copy_if(model.tensors.begin(), model.tensors.end(), std::back_inserter(report.tensors),
               is_listed);
  report.sample_shape = model.sample_shape;
  report.output_shape = model.value(model.output).type.shape;
  // The importer lifts single nodes to a newer opset, none to an older one.
  for (const Node& node : model.nodes) {
    report.opset = report.opset == 0 ? node.opset : std::min(report.opset, node.opset);
  }
  for (const Layer& layer : model.layers) {
    report.layers.push_back(report_layer(model, layer));
    report.parameter_count += report.layers.back().parameter_count;
    report.flops += report.layers.back().flops;
  }
  for (int cut = 1; cut < model.layer_count(); ++cut) {
    CutReport& entry = report.cuts.emplace_back();
    entry.before_layer = cut;
    entry.forward_bytes = crossing_bytes(model, cut, false);
    entry.gradient_bytes = crossing_bytes(model, cut, true);
    for (const ValueId id : crossing_values(model, cut)) {
      entry.values.push_back(model.value(id).name);
    }
  }
  return report;
}

std::string render_text(const ModelReport& report, const std::string& model_name) {
  std::string text;
  if (!report.unsupported.empty()) {
    text += format("%s: %zu node%s cannot be trained\n", model_name.c_str(),
                   report.unsupported.size(), report.unsupported.size() == 1 ? "" : "s");
    for (const ImportProblem& problem : report.unsupported) {
      text += format("  %s (%s): %s\n", problem.node.c_str(), problem.op.c_str(),
                     problem.message.c_str());
    }
    text += "supported operators:";
    for (const Op& op : op_table()) text += std::string(" ") + op.name;
    return text + '\n';
  }
  text += format("%s: opset %d, sample %s, output %s for a batch of %lld\n", model_name.c_str(),
                 report.opset, to_string(report.sample_shape).c_str(),
                 to_string(report.output_shape).c_str(), static_cast<long long>(report.batch));
  text +=
      format("%zu layers, %lld parameters (%s), %sFLOP forward\n\n", report.layers.size(),
             static_cast<long long>(report.parameter_count),
             human_bytes(report.parameter_count * 4).c_str(), human_flops(report.flops).c_str());
  size_t width = 5;
  for (const LayerReport& layer : report.layers) width = std::max(width, layer.name.size());
  width = std::min<size_t>(width, 60);
  const int columns = static_cast<int>(width);
  text += format("%5s  %-*s %12s %10s %11s %11s%s  %s\n", "layer", columns, "name", "parameters",
                 "FLOP", "cut after", "gradients",
                 report.measured ? "   time here       state       stash" : "", "ops");
  for (size_t i = 0; i < report.layers.size(); ++i) {
    const LayerReport& layer = report.layers[i];
    // The end of a name tells more than its start.
    const std::string name = layer.name.size() <= width
                                 ? layer.name
                                 : ".." + layer.name.substr(layer.name.size() - width + 2);
    const bool has_cut = i < report.cuts.size();
    std::string measured;
    if (report.measured) {
      measured =
          format(" %8.0f us %11s %11s", layer.time_us, human_bytes(layer.state_bytes).c_str(),
                 human_bytes(layer.stash_bytes).c_str());
    }
    text += format("%5zu  %-*s %12lld %10s %11s %11s%s  %s\n", i, columns, name.c_str(),
                   static_cast<long long>(layer.parameter_count), human_flops(layer.flops).c_str(),
                   has_cut ? human_bytes(report.cuts[i].forward_bytes).c_str() : "-",
                   has_cut ? human_bytes(report.cuts[i].gradient_bytes).c_str() : "-",
                   measured.c_str(), join(layer.ops).c_str());
  }
  text += render_tensors(report.tensors);
  if (!report.notes.empty()) text += '\n';
  for (const std::string& note : report.notes) text += note + '\n';
  if (!report.memory.empty()) text += "\nmemory of training on one device\n";
  for (const MemoryReport& part : report.memory) {
    text += format("%12s  %s\n", human_bytes(part.bytes).c_str(), part.meaning);
  }
  return text;
}

std::string render_json(const ModelReport& report, const std::string& model_name) {
  nlohmann::ordered_json json;
  json["model"] = model_name;
  json["opset"] = report.opset;
  json["batch"] = report.batch;
  json["parameters"] = report.parameter_count;
  json["flops"] = report.flops;
  json["layers"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < report.layers.size(); ++i) {
    const LayerReport& layer = report.layers[i];
    json["layers"].push_back({{"index", i},
                              {"name", layer.name},
                              {"ops", layer.ops},
                              {"parameters", layer.parameter_count},
                              {"parameter_bytes", layer.parameter_bytes},
                              {"statistic_bytes", layer.statistic_bytes},
                              {"output_bytes", layer.output_bytes},
                              {"flops", layer.flops}});
    if (!report.measured) continue;
    json["layers"].back().update({{"time_us", layer.time_us},
                                  {"state_bytes", layer.state_bytes},
                                  {"stash_bytes", layer.stash_bytes},
                                  {"work_bytes", layer.work_bytes}});
  }
  json["cuts"] = nlohmann::ordered_json::array();
  for (const CutReport& cut : report.cuts) {
    json["cuts"].push_back({{"before_layer", cut.before_layer},
                            {"forward_bytes", cut.forward_bytes},
                            {"gradient_bytes", cut.gradient_bytes},
                            {"values", cut.values}});
  }
  json["tensors"] = nlohmann::ordered_json::array();
  for (const TensorInfo& tensor : report.tensors) json["tensors"].push_back(to_json(tensor));
  json["notes"] = report.notes;
  for (const MemoryReport& part : report.memory) json["memory"][part.key] = part.bytes;
  json["unsupported"] = nlohmann::ordered_json::array();
  for (const ImportProblem& problem : report.unsupported) {
    json["unsupported"].push_back(
        {{"node", problem.node}, {"op", problem.op}, {"message", problem.message}});
  }
  json["operators"] = nlohmann::ordered_json::array();
  for (const Op& op : op_table()) json["operators"].push_back(op.name);
  // A name in the file need not be valid UTF-8.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace ft
