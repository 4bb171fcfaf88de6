// What was decided about tensors, as sentences.

#include <algorithm>
#include <cstdlib>

#include "onnx_import/role_choices.h"
#include "onnx_import/tensors.h"

namespace ft {
namespace {

std::string with_commas(int64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string counted(int64_t count, const char* one, const char* many) {
  return with_commas(count) + " " + (count == 1 ? one : many);
}

// "a, b and c"
std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  }
  return text;
}

struct Counts {
  int64_t elements = 0;  // that train
  int64_t trained = 0;
  int64_t frozen = 0;
  int64_t buffers = 0;
  int64_t scalars = 0;
  int64_t constants = 0;
};

// Numbers in Constant nodes are part of the program and nobody's parameters.
Counts count(const std::vector<TensorInfo>& tensors) {
  Counts counts;
  for (const TensorInfo& tensor : tensors) {
    if (!tensor.tied_to.empty()) continue;
    const int64_t elements = tensor.shape.element_count();
    if (tensor.role == TensorRole::kTrained) {
      ++counts.trained;
      counts.elements += elements;
    } else if (tensor.role == TensorRole::kFrozen) {
      ++counts.frozen;
    } else if (tensor.role == TensorRole::kBuffer) {
      ++counts.buffers;
    } else if (tensor.role == TensorRole::kConstant && tensor.is_float &&
               (tensor.constant_node < 0 || elements > 1)) {
      ++(elements == 1 ? counts.scalars : counts.constants);
    }
  }
  return counts;
}

std::string what_does_not(const Counts& counts, int64_t* total) {
  std::vector<std::string> parts;
  const auto add = [&](int64_t count, const char* one, const char* many) {
    if (count > 0) parts.push_back(counted(count, one, many));
    *total += count;
  };
  add(counts.frozen, "frozen tensor", "frozen tensors");
  add(counts.buffers, "buffer", "buffers");
  add(counts.scalars, "scalar", "scalars");
  add(counts.constants, "constant", "constants");
  return joined(parts);
}

std::string ties_note(const std::vector<TensorInfo>& tensors) {
  std::vector<std::string> ties;
  size_t more = 0;
  std::string root;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.tied_to.empty() || tensor.role != TensorRole::kTrained) continue;
    if (ties.size() == 2) {
      ++more;
      continue;
    }
    if (root.empty()) root = tensor.tied_to;
    ties.push_back("'" + tensor.name + "' is '" + tensor.tied_to + "'");
  }
  if (ties.empty()) return "";
  if (more > 0) ties.push_back(with_commas(static_cast<int64_t>(more)) + " more are tied, too");
  return joined(ties) + " (--untie " + root + " for tensors apart)";
}

std::string shared_note(const std::vector<TensorInfo>& tensors) {
  std::vector<std::string> names;
  std::string source;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.copy_of.empty() || !tensor.tied_to.empty() || tensor.role != TensorRole::kTrained) {
      continue;
    }
    if (source.empty()) source = tensor.copy_of;
    names.push_back(tensor.name);
  }
  if (names.empty()) return "";
  const bool is_one = names.size() == 1;
  return format(
      "%s %s only equal to another tensor in the file and %s: %s (--tie %s=%s for one tensor)",
      counted(static_cast<int64_t>(names.size()), "tensor", "tensors").c_str(),
      is_one ? "is" : "are", is_one ? "trains on its own" : "train on their own",
      list_names(names).c_str(), source.c_str(), names[0].c_str());
}

// Which nodes' batch norm the exporter has folded away.
std::string folded_note(const std::vector<TensorInfo>& tensors, const OnnxGraph& graph) {
  std::map<std::string, const TensorInfo*> by_name;
  for (const TensorInfo& tensor : tensors) by_name[tensor.name] = &tensor;
  const auto is_folded = [&](const std::string& name) {
    if (by_name.count(name) == 0 || graph.initializers.count(name) == 0) return false;
    static const std::string kSuffix = ".weight_bias";
    const bool is_dynamo = name.size() > kSuffix.size() &&
                           name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0;
    return is_dynamo || (graph.producer == "pytorch" && is_exporter_name(name) &&
                         by_name[name]->constant_node < 0);
  };
  int64_t folded = 0;
  for (const OnnxNode& node : graph.nodes) {
    if (node.op != "Conv" || node.inputs.size() < 3) continue;
    const std::string& bias = node.inputs[2];
    const bool is_dynamo = bias.find(".weight_bias") != std::string::npos;
    if (is_folded(bias) && (is_dynamo || is_folded(node.inputs[1]))) ++folded;
  }
  if (folded == 0) return "";
  const bool is_one = folded == 1;
  // Before 2.5 the option was not there to switch off.
  const int major = std::atoi(graph.producer_version.c_str());
  const size_t dot = graph.producer_version.find('.');
  const int minor = dot == std::string::npos ? 0 : std::atoi(&graph.producer_version[dot + 1]);
  const bool has_dynamo = major > 2 || (major == 2 && minor >= 5);
  return format(
      "the file is an inference export (%s %s): the batch norm behind %s was folded into %s, so "
      "training goes on without batch norm, which suits short fine-tuning with a low --lr and not "
      "training from the start; to keep it: torch.onnx.export(model.train(), x, file, %s"
      "training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False, opset_version=%d)",
      graph.producer.c_str(), graph.producer_version.c_str(),
      counted(folded, "convolution", "convolutions").c_str(), is_one ? "it" : "them",
      has_dynamo ? "dynamo=False, " : "", major >= 2 ? 17 : 14);
}

}  // namespace

std::vector<std::string> tensor_notes(const std::vector<TensorInfo>& tensors,
                                      const OnnxGraph& graph) {
  const Counts counts = count(tensors);
  std::string first = counted(counts.elements, "parameter", "parameters") + " in " +
                      counted(counts.trained, "tensor", "tensors") +
                      (counts.elements == 1 ? " trains" : " train");
  int64_t others = 0;
  const std::string does_not = what_does_not(counts, &others);
  if (!does_not.empty()) {
    first += "; " + does_not + (others == 1 ? " does not" : " do not") +
             " (ftrun inspect lists them; --train NAME, --freeze NAME)";
  }
  const std::string ties = ties_note(tensors);
  if (!ties.empty()) first += "; " + ties;
  std::vector<std::string> notes = {first};
  for (std::string& note :
       std::vector<std::string>{shared_note(tensors), folded_note(tensors, graph)}) {
    if (!note.empty()) notes.push_back(std::move(note));
  }
  return notes;
}

std::string nothing_trains(const std::vector<TensorInfo>& tensors) {
  for (const TensorRole role : {TensorRole::kFrozen, TensorRole::kBuffer, TensorRole::kConstant}) {
    for (const TensorInfo& tensor : tensors) {
      if (tensor.role != role || !tensor.is_float || !tensor.tied_to.empty()) continue;
      return format(
          "nothing in the model trains: '%s' is %s%s (%s), and no other tensor is a parameter; "
          "--train NAME trains one (ftrun inspect --train NAME shows it)",
          tensor.name.c_str(), role == TensorRole::kFrozen ? "" : "a ", to_string(role),
          tensor.reason.c_str());
    }
  }
  return "nothing in the model trains: it has no parameters; export it with its weights "
         "(export_params=True)";
}

}  // namespace ft
