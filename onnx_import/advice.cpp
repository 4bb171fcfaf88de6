#include "onnx_import/advice.h"

#include <algorithm>
#include <string_view>

namespace ft {
namespace {

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// A node that computes gradients or steps, or a loss: this program's own work.
bool is_of_training(const OnnxNode& node) {
  return node.domain == "ai.onnx.preview.training" || node.domain == "ai.onnx.training" ||
         ends_with(node.op, "Grad") || ends_with(node.op, "Gradient");
}

struct Advice {
  const char* op;
  const char* text;
};

constexpr const char* kQuantised =
    "a quantised model cannot be trained; export the float32 model that it was made from";
constexpr const char* kLoss =
    "the loss is not part of the model here (--loss names it); export a model that ends with what "
    "goes into the loss";

constexpr Advice kAdvices[] = {
    {"ConvInteger", kQuantised},           {"DequantizeLinear", kQuantised},
    {"DynamicQuantizeLinear", kQuantised}, {"MatMulInteger", kQuantised},
    {"NegativeLogLikelihoodLoss", kLoss},  {"QLinearConv", kQuantised},
    {"QLinearMatMul", kQuantised},         {"QuantizeLinear", kQuantised},
    {"SoftmaxCrossEntropyLoss", kLoss},
};

std::string of_domain(const std::string& domain) {
  const std::string start = "domain '" + domain + "' is not supported; ";
  if (domain == "com.microsoft") {
    return start + "onnxruntime's optimiser writes such nodes: use the file from before it";
  }
  if (domain == "org.pytorch.aten" || domain == "aten") {
    return start +
           "PyTorch writes such nodes for functions that ONNX lacks: export without "
           "operator_export_type=ONNX_ATEN_FALLBACK and replace the function that it then names";
  }
  return start + "rewrite this part of the model with ONNX's own operators";
}

}  // namespace

std::string advice_for(const OnnxNode& node) {
  if (is_of_training(node)) {
    return "part of a training graph that another tool made; gradients and steps are made here: "
           "export the model alone, from its input to its output";
  }
  if (!node.domain.empty()) return of_domain(node.domain);
  const auto* advice = std::find_if(std::begin(kAdvices), std::end(kAdvices),
                                    [&](const Advice& entry) { return node.op == entry.op; });
  if (advice != std::end(kAdvices)) return advice->text;
  return "not supported; rewrite this part of the model with supported operators ('ftrun inspect' "
         "lists them)";
}

}  // namespace ft
