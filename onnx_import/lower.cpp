#include "onnx_import/lower.h"

#include <algorithm>
#include <optional>

#include "onnx_import/builder.h"
#include "onnx_import/fold.h"
#include "onnx_import/sources.h"

namespace ft {
namespace {

constexpr int64_t kOnnxFloat = 1;
constexpr int64_t kOnnxInt64 = 7;

class Lowering {
 public:
  Lowering(const OnnxGraph& graph, const ImportOptions& options,
           std::vector<ImportProblem>* problems)
      : graph_(graph), batch_(options.batch), problems_(*problems), builder_(graph.opset) {
    for (const OnnxNode& node : graph.nodes) wanted_.insert(node.inputs.begin(), node.inputs.end());
    wanted_.insert(graph.outputs.begin(), graph.outputs.end());
  }

  Result<Model> run();

 private:
  void lower_node(const OnnxNode& node);
  bool is_supported(const OnnxNode& node, const Op* op);
  // True when the node was a no-op or a constant and is done with.
  Result<bool> vanish(const OnnxNode& node);
  Result<bool> fold(const OnnxNode& node);
  Status append(const OnnxNode& node, const Op& op);
  Result<std::vector<ValueId>> place_inputs(const OnnxNode& node, const LayoutChoice& choice);
  std::optional<Constant> rebound_target(const OnnxNode& node);
  Status bind_outputs(const OnnxNode& node, const LayoutChoice& choice,
                      const std::vector<ValueId>& ids);
  Status bind_updates(const OnnxNode& node, const std::vector<ValueId>& inputs,
                      const std::vector<ValueId>& ids);
  bool is_shape_like(const OnnxNode& node);
  void bind_unknown(const OnnxNode& node, bool shape_like);
  Result<ValueId> place_output();
  Status batch_error(const Status& status) const;
  void note(const OnnxNode& node, const std::string& message) {
    problems_.push_back({node.name, node.op, message});
  }

  const OnnxGraph& graph_;
  const int64_t batch_;
  int64_t file_batch_ = 0;  // 0: symbolic
  int64_t folded_elements_ = 0;
  std::string batch_lost_at_;     // the first node whose output no longer starts with the batch
  std::set<std::string> wanted_;  // names that somebody reads
  std::vector<ImportProblem>& problems_;
  ModelBuilder builder_;
  ValueId input_ = kNoValue;
  std::set<std::string> moved_statistics_;
  // Statistics never cross a cut: a fixed one that several batch norms read is copied.
  std::set<std::string> read_statistics_;
};

bool Lowering::is_supported(const OnnxNode& node, const Op* op) {
  if (!node.unsupported.empty()) {
    note(node, node.unsupported);
  } else if (!node.domain.empty()) {
    note(node, "domain '" + node.domain + "' is not supported; export with ONNX's own ops");
  } else if (op == nullptr) {
    note(node,
         "not supported; rewrite this part of the model with supported ops "
         "(kernels/op_table.cpp lists them)");
  } else if (node.opset < op->opset_min || node.opset > op->opset_max) {
    note(node, format("supported in opsets %d to %d only; export with opset_version=%d",
                      op->opset_min, op->opset_max, op->opset_max));
  } else if (node.inputs.size() > 32 && op->layout != LayoutRule::kAxis) {
    note(node, "too many inputs");
  } else {
    bool needs_gradient = false;
    for (const std::string& name : node.inputs) {
      needs_gradient = needs_gradient || (!name.empty() && builder_.find(name).needs_gradient);
    }
    if (!needs_gradient || op->has_gradient) return true;
    note(node,
         "has no gradient here; train a model without it, or export it after the part "
         "that is trained");
  }
  return false;
}

void Lowering::bind_unknown(const OnnxNode& node, bool shape_like) {
  bool needs_gradient = false;
  for (const std::string& name : node.inputs) {
    needs_gradient = needs_gradient || (!name.empty() && builder_.find(name).needs_gradient);
  }
  for (const std::string& name : node.outputs) {
    if (name.empty()) continue;
    Binding& binding = builder_.bind(name);
    binding.needs_gradient = needs_gradient && !shape_like;
    binding.is_shape_like = shape_like;
  }
}

Result<bool> Lowering::fold(const OnnxNode& node) {
  std::vector<const Constant*> inputs;
  for (const std::string& name : node.inputs) {
    if (name.empty()) {
      inputs.push_back(nullptr);
      continue;
    }
    const Binding& binding = builder_.find(name);
    if (binding.kind != Binding::Kind::kConstant) return false;
    inputs.push_back(&binding.constant);
  }
  if (inputs.empty() || node.outputs.size() != 1 || node.outputs[0].empty()) return false;
  FT_ASSIGN_OR_RETURN(const std::optional<Constant> constant, fold_node({&node, inputs}));
  if (!constant) return false;
  folded_elements_ += constant->element_count();
  if (folded_elements_ > kFoldTotalMax) return invalid_error("too many constants to fold");
  Binding& binding = builder_.bind(node.outputs[0]);
  binding.kind = Binding::Kind::kConstant;
  binding.constant = *constant;
  binding.type = constant->type;
  return true;
}

Result<bool> Lowering::vanish(const OnnxNode& node) {
  if (!node.domain.empty() || !node.unsupported.empty() || node.inputs.empty() ||
      node.inputs[0].empty() || node.outputs.size() != 1 || node.outputs[0].empty()) {
    return false;
  }
  const Binding& source = builder_.find(node.inputs[0]);
  if (node.op == "Shape" || node.op == "Size") {
    const int64_t count = source.type.shape.element_count();
    const Constant constant = node.op == "Shape"
                                  ? fold_shape(node, source.type.shape)
                                  : make_constant(Shape{}, std::span<const int64_t>(&count, 1));
    Binding& binding = builder_.bind(node.outputs[0]);
    binding.kind = Binding::Kind::kConstant;
    binding.constant = constant;
    binding.type = constant.type;
    return true;
  }
  bool is_noop = node.op == "Identity";
  if (node.op == "Cast" && source.kind == Binding::Kind::kValue) {
    const int64_t to = FoldRequest{&node, {}}.attribute("to", 0);
    is_noop = to == (source.type.dtype == DType::kFloat32 ? kOnnxFloat : kOnnxInt64);
  }
  if (is_noop) {
    builder_.alias(node.outputs[0], node.inputs[0]);
    return true;
  }
  return fold(node);
}

// A model exported with a fixed batch has it in the targets of its Reshapes, {8, 300} say.
std::optional<Constant> Lowering::rebound_target(const OnnxNode& node) {
  if (node.op != "Reshape" || file_batch_ == 0 || node.inputs.size() != 2) return std::nullopt;
  const Binding& data = builder_.find(node.inputs[0]);
  const Binding& target = builder_.find(node.inputs[1]);
  if (!data.is_batch_first || target.kind != Binding::Kind::kConstant ||
      target.constant.is_float() || target.constant.element_count() == 0 ||
      target.constant.ints()[0] != file_batch_) {
    return std::nullopt;
  }
  std::vector<int64_t> dims(target.constant.ints().begin(), target.constant.ints().end());
  dims[0] = batch_;
  return make_constant(target.type.shape, dims);
}

Result<std::vector<ValueId>> Lowering::place_inputs(const OnnxNode& node,
                                                    const LayoutChoice& choice) {
  const std::optional<Constant> target = rebound_target(node);
  std::vector<ValueId> ids;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i].empty()) {
      ids.push_back(kNoValue);
    } else if (i == 1 && target) {
      ids.push_back(builder_.place_constant(node.inputs[i], *target));
    } else {
      Binding& binding = builder_.find(node.inputs[i]);
      if (binding.value_kind == ValueKind::kStatistic &&
          !read_statistics_.insert(binding.name).second) {
        ids.push_back(builder_.add_value(builder_.model().value(binding.logical)));
        continue;
      }
      FT_ASSIGN_OR_RETURN(const ValueId id,
                          builder_.place(&binding, choice.inputs[i], choice.rank));
      ids.push_back(id);
    }
  }
  return ids;
}

Status Lowering::append(const OnnxNode& node, const Op& op) {
  std::vector<LayoutInput> inputs;
  for (const std::string& name : node.inputs) {
    LayoutInput& input = inputs.emplace_back();
    if (name.empty()) continue;
    const Binding& binding = builder_.find(name);
    input = {true, binding.is_fixed(), binding.is_feature_map, binding.is_shared,
             binding.type.shape};
  }
  const LayoutChoice choice = choose_layout(op, inputs);
  Node lowered;
  lowered.name = node.name;
  lowered.op = &op;
  lowered.attributes = node.attributes;
  lowered.opset = node.opset;
  if (op.layout == LayoutRule::kAxis && choice.first_output == Order::kSwapped) {
    FT_RETURN_IF_ERROR(swap_axis(op, choice.rank, &lowered.attributes));
  }
  FT_ASSIGN_OR_RETURN(lowered.inputs, place_inputs(node, choice));
  const std::vector<ValueId> placed = lowered.inputs;
  std::vector<std::string> outputs;
  const bool is_batch_norm = node.op == "BatchNormalization";
  for (const std::string& name : node.outputs) {
    outputs.push_back(wanted_.count(name) != 0 || is_batch_norm ? name : "");
  }
  while (!outputs.empty() && outputs.back().empty()) outputs.pop_back();
  FT_ASSIGN_OR_RETURN(const std::vector<ValueId> ids, builder_.add_node(lowered, outputs));
  FT_RETURN_IF_ERROR(bind_outputs(node, choice, ids));
  if (is_batch_norm && ids.size() > 1) return bind_updates(node, placed, ids);
  return {};
}

Status Lowering::bind_outputs(const OnnxNode& node, const LayoutChoice& choice,
                              const std::vector<ValueId>& ids) {
  bool is_batch_first = false;
  for (const std::string& name : node.inputs) {
    is_batch_first = is_batch_first || (!name.empty() && builder_.find(name).is_batch_first);
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (i >= ids.size() || ids[i] == kNoValue) continue;
    const Value& value = builder_.model().value(ids[i]);
    Binding& binding = builder_.bind(node.outputs[i]);
    binding.kind = Binding::Kind::kValue;
    binding.type = value.type;
    binding.needs_gradient = value.needs_gradient;
    const Order order = i == 0 ? choice.first_output : choice.other_outputs;
    if (order == Order::kSwapped) {
      if (value.type.shape.rank() < 2) return invalid_error("its output has too few dimensions");
      binding.type.shape = swap_first_axes(value.type.shape);
      binding.swapped = ids[i];
      binding.is_feature_map = true;
    } else {
      binding.logical = ids[i];
    }
    const Shape& shape = binding.type.shape;
    binding.is_batch_first = is_batch_first && shape.rank() > 0 && shape.dim(0) == batch_;
    if (i == 0 && is_batch_first && !binding.is_batch_first && batch_lost_at_.empty()) {
      batch_lost_at_ = node.name;
    }
  }
  return {};
}

Status Lowering::bind_updates(const OnnxNode& node, const std::vector<ValueId>& inputs,
                              const std::vector<ValueId>& ids) {
  for (size_t i = 1; i < ids.size() && i < 3; ++i) {
    const ValueId statistic = i + 2 < inputs.size() ? inputs[i + 2] : kNoValue;
    if (statistic == kNoValue || ids[i] == kNoValue ||
        builder_.model().value(statistic).kind != ValueKind::kStatistic) {
      return invalid_error("its running mean and variance must be initializers");
    }
    if (!moved_statistics_.insert(node.inputs[i + 2]).second) {
      return invalid_error(
          "its running statistics '%s' are moved by another batch norm, too; "
          "give each its own",
          node.inputs[i + 2].c_str());
    }
    Value& update = builder_.model().values[static_cast<size_t>(ids[i])];
    update.kind = ValueKind::kUpdate;
    update.updates = statistic;
    update.needs_gradient = false;
  }
  return {};
}

Status Lowering::batch_error(const Status& status) const {
  if (file_batch_ == 0 || file_batch_ == batch_) return status;
  return invalid_error(
      "%s (the model was exported with a batch of %lld and is used with %lld; "
      "export with dynamic_axes, or use --batch-size %lld)",
      status.message().c_str(), static_cast<long long>(file_batch_), static_cast<long long>(batch_),
      static_cast<long long>(file_batch_));
}

// Shape arithmetic behind a refused node is unknown, too, and no problem of its own.
bool Lowering::is_shape_like(const OnnxNode& node) {
  if (!node.domain.empty() || !node.unsupported.empty()) return false;
  if (node.op == "Shape" || node.op == "Size") return true;
  bool is_shape_like = is_foldable(node.op);
  for (const std::string& name : node.inputs) {
    if (name.empty()) continue;
    const Binding& binding = builder_.find(name);
    is_shape_like =
        is_shape_like && (binding.is_shape_like || binding.kind == Binding::Kind::kConstant);
  }
  return is_shape_like;
}

void Lowering::lower_node(const OnnxNode& node) {
  bool is_known = true;
  for (const std::string& name : node.inputs) {
    is_known = is_known && (name.empty() || builder_.find(name).kind != Binding::Kind::kUnknown);
  }
  if (!is_known) {
    const bool shape_like = is_shape_like(node);
    if (!shape_like && node.op != "Identity") is_supported(node, find_op(node.op));
    bind_unknown(node, shape_like);
    return;
  }
  Status status;
  const Result<bool> vanished = vanish(node);
  if (!vanished.ok()) {
    status = vanished.status();
  } else if (*vanished) {
    return;
  } else {
    const Op* op = find_op(node.op);
    if (!is_supported(node, op)) return bind_unknown(node, false);
    status = append(node, *op);
    if (status.ok()) return;
  }
  note(node, batch_error(status).message());
  bind_unknown(node, false);
}

Result<ValueId> Lowering::place_output() {
  std::vector<std::string> outputs;
  for (const std::string& name : graph_.outputs) {
    if (!builder_.is_bound(name)) {
      return invalid_error("the output '%s' is an initializer", name.c_str());
    }
    const Binding& binding = builder_.find(name);
    const bool is_update = binding.kind == Binding::Kind::kValue && binding.logical != kNoValue &&
                           builder_.model().value(binding.logical).kind == ValueKind::kUpdate;
    if (!is_update) outputs.push_back(name);
  }
  if (outputs.size() != 1) {
    return invalid_error(
        "the model has %zu outputs; exactly one is trained: export a model that "
        "returns one tensor",
        outputs.size());
  }
  Binding& output = builder_.find(outputs[0]);
  if (output.kind != Binding::Kind::kValue || output.is_fixed() ||
      output.type.dtype != DType::kFloat32 || output.value_kind == ValueKind::kInput) {
    return invalid_error("the output '%s' is not computed from the input", outputs[0].c_str());
  }
  if (!output.is_batch_first) {
    return batch_error(invalid_error(
        "node '%s': its output does not start with the batch, and neither does the model's output "
        "'%s' of shape %s",
        batch_lost_at_.c_str(), outputs[0].c_str(), to_string(output.type.shape).c_str()));
  }
  return builder_.place(&output, Order::kLogical, output.type.shape.rank());
}

Result<Model> Lowering::run() {
  FT_ASSIGN_OR_RETURN(input_, bind_input(graph_, batch_, &builder_));
  bind_initializers(graph_, &builder_);
  const OnnxDim& first = graph_.inputs[0].dims[0];
  file_batch_ = first.is_symbolic ? 0 : first.value;
  const Shape input_shape = builder_.model().value(input_).type.shape;
  for (const OnnxNode& node : graph_.nodes) lower_node(node);
  if (!problems_.empty()) return invalid_error("unsupported nodes");
  FT_ASSIGN_OR_RETURN(const ValueId output, place_output());
  if (!builder_.model().value(output).needs_gradient) {
    return invalid_error("the model has no parameters to train");
  }
  Model model = builder_.finish(input_, output);
  model.batch = batch_;
  model.sample_shape = Shape(input_shape.dims().subspan(1));
  return model;
}

}  // namespace

Result<Model> lower_graph(const OnnxGraph& graph, const ImportOptions& options,
                          std::vector<ImportProblem>* problems) {
  return Lowering(graph, options, problems).run();
}

}  // namespace ft
