#include "onnx_import/lower.h"

#include <algorithm>
#include <optional>

#include "onnx_import/advice.h"
#include "onnx_import/builder.h"
#include "onnx_import/ending.h"
#include "onnx_import/fold.h"
#include "onnx_import/rebind.h"
#include "onnx_import/sources.h"

namespace ft {
namespace {

constexpr int64_t kOnnxFloat = 1;
constexpr int64_t kOnnxInt64 = 7;

class Lowering {
 public:
  Lowering(const OnnxGraph& graph, const ImportOptions& options, const RowFacts* known,
           std::vector<ImportProblem>* problems)
      : graph_(graph),
        options_(options),
        batch_(options.batch),
        problems_(*problems),
        builder_(graph.opset),
        rows_(options.batch, known == nullptr ? nullptr : &known->places) {
    for (const OnnxNode& node : graph.nodes) wanted_.insert(node.inputs.begin(), node.inputs.end());
    wanted_.insert(graph.outputs.begin(), graph.outputs.end());
  }

  Result<Model> run();
  RowFacts row_facts() const { return {rows_.places(), rows_.meeting()}; }

 private:
  void lower_node(const OnnxNode& node);
  bool is_supported(const OnnxNode& node, const Op* op);
  // True when the node was a no-op or a constant and is done with.
  Result<bool> vanish(const OnnxNode& node);
  Result<bool> fold(const OnnxNode& node);
  Status append(const OnnxNode& node, const Op& op);
  Result<std::vector<ValueId>> place_inputs(const OnnxNode& node, const LayoutChoice& choice);
  const RowPlace& place_of(ValueId id);
  std::optional<Constant> rebound_target(const OnnxNode& node, ValueId data);
  void finish_node(const OnnxNode& node, Node* lowered);
  Status say_in_file_order(const OnnxNode& node, const Op& op, const Status& status);
  Status bind_outputs(const OnnxNode& node, const LayoutChoice& choice,
                      const std::vector<ValueId>& ids);
  Status bind_updates(const OnnxNode& node, const std::vector<ValueId>& inputs,
                      const std::vector<ValueId>& ids);
  bool is_shape_like(const OnnxNode& node);
  void bind_unknown(const OnnxNode& node, bool shape_like);
  Result<ValueId> place_output();
  Status batch_error(const Op* op, const Status& status) const;
  void note(const OnnxNode& node, const std::string& message) {
    problems_.push_back({node.name, node.op, message});
  }

  const OnnxGraph& graph_;
  const ImportOptions& options_;
  const int64_t batch_;
  int64_t file_batch_ = 0;  // 0: symbolic
  int64_t folded_elements_ = 0;
  std::set<std::string> wanted_;  // names that somebody reads
  std::vector<ImportProblem>& problems_;
  ModelBuilder builder_;
  RowTracker rows_;
  ValueId input_ = kNoValue;
  std::set<std::string> moved_statistics_;
  // Statistics never cross a cut: a fixed one that several batch norms read is copied.
  std::set<std::string> read_statistics_;
};

bool Lowering::is_supported(const OnnxNode& node, const Op* op) {
  if (!node.domain.empty() || (op == nullptr && node.unsupported.empty())) {
    note(node, advice_for(node));
  } else if (!node.unsupported.empty()) {
    note(node, node.unsupported);
  } else if (node.opset < op->opset_min || node.opset > op->opset_max) {
    note(node, format("supported in opsets %d to %d only; export with opset_version=%d",
                      op->opset_min, op->opset_max, op->opset_max));
  } else if (node.inputs.size() > 32 && op->layout != LayoutRule::kAxis) {
    note(node, "has more than 32 inputs; split it into several nodes");
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
  bool is_from_shapes = false;
  for (const std::string& name : node.inputs) {
    if (name.empty()) {
      inputs.push_back(nullptr);
      continue;
    }
    const Binding& binding = builder_.find(name);
    if (binding.kind != Binding::Kind::kConstant) return false;
    is_from_shapes = is_from_shapes || binding.is_from_shapes;
    inputs.push_back(&binding.constant);
  }
  if (inputs.empty() || node.outputs.size() != 1 || node.outputs[0].empty()) return false;
  const Result<std::optional<Constant>> folded = fold_node({&node, inputs});
  if (!folded.ok()) {
    return invalid_error(
        "is computed from constants and shapes alone, and that fails (%s): the file is damaged, or "
        "shapes are written into it that its samples do not have",
        folded.status().message().c_str());
  }
  const std::optional<Constant>& constant = *folded;
  if (!constant) return false;
  folded_elements_ += constant->element_count();
  if (folded_elements_ > kFoldTotalMax)
    return invalid_error("the constants up to here are too large to be computed at import");
  Binding& binding = builder_.bind(node.outputs[0]);
  binding.kind = Binding::Kind::kConstant;
  binding.constant = *constant;
  binding.type = constant->type;
  binding.is_from_shapes = is_from_shapes;
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
    binding.is_from_shapes = true;
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

const RowPlace& Lowering::place_of(ValueId id) {
  rows_.follow(builder_.model());
  return rows_.place(id);
}

// The target of a Reshape, for this batch instead of the file's; nullopt where it stays.
std::optional<Constant> Lowering::rebound_target(const OnnxNode& node, ValueId data) {
  if (node.op != "Reshape" || file_batch_ == 0) return std::nullopt;
  const Binding& target = builder_.find(node.inputs[1]);
  if (target.kind != Binding::Kind::kConstant || target.is_from_shapes) return std::nullopt;
  const RowPlace place = place_of(data);
  return rebind_target(target.constant, builder_.model().value(data).type.shape, place,
                       {file_batch_, batch_});
}

Result<std::vector<ValueId>> Lowering::place_inputs(const OnnxNode& node,
                                                    const LayoutChoice& choice) {
  std::vector<ValueId> ids;
  std::optional<Constant> target;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i == 1 && ids[0] != kNoValue && !node.inputs[1].empty()) {
      target = rebound_target(node, ids[0]);
    }
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

// What a node needs to know of the batch's place.
void Lowering::finish_node(const OnnxNode& node, Node* lowered) {
  const ValueId data = lowered->inputs.empty() ? kNoValue : lowered->inputs[0];
  if (data == kNoValue) return;
  const Shape shape = builder_.model().value(data).type.shape;
  if (node.op == "Squeeze" && lowered->inputs.size() == 1) {
    // Without axes, all that are 1 go: but never the batch, however few rows it has.
    const RowPlace& place = place_of(data);
    std::vector<int64_t> axes;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (shape.dim(axis) == 1 && !(place.is_placed() && place.axis == axis)) axes.push_back(axis);
    }
    lowered->inputs.push_back(builder_.place_constant(node.name + ":axes", make_constant(axes)));
  } else if (node.op == "Dropout" && place_of(data).is_placed()) {
    const RowPlace& place = place_of(data);
    const int64_t inner = row_stride(shape, place);
    lowered->attributes.set("row_inner", inner);
    lowered->attributes.set("row_outer", shape.element_count() / (inner * batch_));
  }
}

// An op that takes any order was asked in the one of this program: what does not fit is said in the
// file's.
Status Lowering::say_in_file_order(const OnnxNode& node, const Op& op, const Status& status) {
  if (op.layout != LayoutRule::kElementwise && op.layout != LayoutRule::kAxis) return status;
  std::vector<OpInput> inputs;
  for (const std::string& name : node.inputs) {
    OpInput& input = inputs.emplace_back();
    input.present = !name.empty();
    if (!input.present) continue;
    const Binding& binding = builder_.find(name);
    input.type = binding.type;
    if (binding.kind == Binding::Kind::kConstant) input.constant = binding.constant.data->data();
  }
  OpRequest request;
  request.attributes = &node.attributes;
  request.inputs = inputs;
  request.opset = node.opset;
  const Result<KernelPlan> plan = op.make(request);
  return plan.ok() ? status : plan.status();
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
  finish_node(node, &lowered);
  const std::vector<ValueId> placed = lowered.inputs;
  std::vector<std::string> outputs;
  const bool is_batch_norm = node.op == "BatchNormalization";
  for (const std::string& name : node.outputs) {
    outputs.push_back(wanted_.count(name) != 0 || is_batch_norm ? name : "");
  }
  while (!outputs.empty() && outputs.back().empty()) outputs.pop_back();
  const Result<std::vector<ValueId>> made = builder_.add_node(lowered, outputs);
  if (!made.ok()) return say_in_file_order(node, op, made.status());
  const std::vector<ValueId>& ids = *made;
  FT_RETURN_IF_ERROR(bind_outputs(node, choice, ids));
  if (is_batch_norm && ids.size() > 1) return bind_updates(node, placed, ids);
  return {};
}

Status Lowering::bind_outputs(const OnnxNode& node, const LayoutChoice& choice,
                              const std::vector<ValueId>& ids) {
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

// Adds what an unfitting batch may have to do with it, where operands must fit one another.
Status Lowering::batch_error(const Op* op, const Status& status) const {
  if (file_batch_ == batch_ || (op != nullptr && op->rows == RowRule::kPool)) return status;
  if (file_batch_ == 0) {
    const bool fits_operands =
        op != nullptr && (op->rows == RowRule::kElementwise || op->rows == RowRule::kView ||
                          op->rows == RowRule::kConcat || op->rows == RowRule::kMatMul ||
                          op->rows == RowRule::kGemm);
    if (!fits_operands) return status;
    return invalid_error(
        "%s (for a batch of %lld; if the model was traced with another one, that number is written "
        "into it: take it from x.shape[0] instead)",
        status.message().c_str(), static_cast<long long>(batch_));
  }
  const bool in_parts = options_.micro_batches > 1;
  return invalid_error(
      "%s (the model was exported with a batch of %lld and is used with %lld rows%s; export with "
      "dynamic_axes, or use --batch-size %lld%s)",
      status.message().c_str(), static_cast<long long>(file_batch_), static_cast<long long>(batch_),
      in_parts ? " in a micro-batch" : "", static_cast<long long>(file_batch_),
      in_parts ? " --micro-batches 1" : "");
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
  note(node, batch_error(find_op(node.op), status).message());
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
  FT_ASSIGN_OR_RETURN(const ValueId id,
                      builder_.place(&output, Order::kLogical, output.type.shape.rank()));
  FT_RETURN_IF_ERROR(
      check_output_rows(outputs[0], output.type.shape, batch_, place_of(id), rows_.lost()));
  return options_.cross_entropy ? leave_out_softmax(&builder_.model(), id) : id;
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
                          const RowFacts* known, RowFacts* rows,
                          std::vector<ImportProblem>* problems) {
  Lowering lowering(graph, options, known, problems);
  Result<Model> model = lowering.run();
  *rows = lowering.row_facts();
  return model;
}

}  // namespace ft
