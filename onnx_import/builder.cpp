#include "onnx_import/builder.h"

#include <algorithm>

namespace ft {
namespace {

std::vector<bool> find_live_nodes(const Model& model, ValueId output) {
  std::vector<bool> live(model.nodes.size(), false);
  std::vector<bool> wanted(model.values.size(), false);
  wanted[static_cast<size_t>(output)] = true;
  for (size_t i = model.nodes.size(); i-- > 0;) {
    for (const ValueId id : model.nodes[i].outputs) {
      live[i] = live[i] || (id != kNoValue && wanted[static_cast<size_t>(id)]);
    }
    if (!live[i]) continue;
    for (const ValueId id : model.nodes[i].inputs) {
      if (id != kNoValue) wanted[static_cast<size_t>(id)] = true;
    }
  }
  return live;
}

void connect(Model* model) {
  for (size_t i = 0; i < model->nodes.size(); ++i) {
    const int32_t index = static_cast<int32_t>(i);
    for (const ValueId id : model->nodes[i].inputs) {
      if (id != kNoValue) model->values[static_cast<size_t>(id)].consumers.push_back(index);
    }
    for (const ValueId id : model->nodes[i].outputs) {
      if (id != kNoValue) model->values[static_cast<size_t>(id)].producer = index;
    }
  }
}

}  // namespace

Binding& ModelBuilder::bind(const std::string& name) {
  names_[name] = bindings_.size();
  Binding& binding = bindings_.emplace_back();
  binding.name = name;
  return binding;
}

void ModelBuilder::alias(const std::string& name, const std::string& target) {
  names_[name] = names_.at(target);
}

Binding& ModelBuilder::find(const std::string& name) {
  const auto found = names_.find(name);
  FT_CHECK(found != names_.end());  // sort_nodes() saw every name
  return bindings_[found->second];
}

ValueId ModelBuilder::add_value(Value value) {
  const std::string name = value.name;
  for (int copy = 2; !value_names_.insert(value.name).second; ++copy) {
    value.name = name + ":" + std::to_string(copy);
  }
  model_.values.push_back(std::move(value));
  return static_cast<ValueId>(model_.values.size() - 1);
}

ValueId ModelBuilder::place_constant(const std::string& name, const Constant& constant) {
  Value value;
  value.name = name;
  value.kind = ValueKind::kConstant;
  value.type = constant.type;
  value.data = constant.data;
  return add_value(std::move(value));
}

Result<ValueId> ModelBuilder::place(Binding* binding, Order order, int rank) {
  const Shape& shape = binding->type.shape;
  if (binding->kind == Binding::Kind::kConstant) {
    if (order == Order::kLogical) return place_constant(binding->name, binding->constant);
    const Shape swapped = swapped_operand_shape(shape, rank);
    return place_constant(binding->name, keeps_bytes(shape, rank)
                                             ? with_shape(binding->constant, swapped)
                                             : swap_first_axes(binding->constant));
  }
  if (order == Order::kSwapped && binding->swapped == kNoValue) {
    if (binding->is_fixed() && shape.rank() + 1 < rank) return binding->logical;
    if (binding->is_fixed() && !binding->is_shared && keeps_bytes(shape, rank)) {
      Value& value = model_.values[static_cast<size_t>(binding->logical)];
      value.type.shape = swapped_operand_shape(shape, rank);
      return binding->logical;
    }
    FT_ASSIGN_OR_RETURN(binding->swapped, transpose(binding->logical, binding->name + ":cnhw"));
  }
  if (order == Order::kLogical && binding->logical == kNoValue) {
    FT_ASSIGN_OR_RETURN(binding->logical, transpose(binding->swapped, binding->name + ":nchw"));
  }
  return order == Order::kLogical ? binding->logical : binding->swapped;
}

Result<ValueId> ModelBuilder::transpose(ValueId source, const std::string& name) {
  Node node;
  node.name = name;
  node.op = find_op("Transpose");
  if (node.op == nullptr) return invalid_error("Transpose is not supported");
  node.opset = opset_;
  const int rank = model_.value(source).type.shape.rank();
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(i < 2 ? 1 - i : i);
  node.attributes.set("perm", perm);
  node.inputs = {source};
  FT_ASSIGN_OR_RETURN(const std::vector<ValueId> outputs, add_node(std::move(node), {name}));
  return outputs[0];
}

Result<std::vector<ValueId>> ModelBuilder::add_node(Node node,
                                                    const std::vector<std::string>& outputs) {
  const std::vector<OpInput> inputs = op_inputs(model_, node);
  OpRequest request;
  request.attributes = &node.attributes;
  request.inputs = inputs;
  request.output_count = static_cast<int>(outputs.size());
  request.opset = node.opset;
  request.node = static_cast<uint32_t>(model_.nodes.size());
  FT_ASSIGN_OR_RETURN(const KernelPlan plan, node.op->make(request));
  if (plan.outputs.size() < outputs.size()) {
    return invalid_error(
        "only %zu of its %zu outputs can be used: export without what reads the others",
        plan.outputs.size(), outputs.size());
  }
  bool needs_gradient = false;
  for (const ValueId id : node.inputs) {
    needs_gradient = needs_gradient || (id != kNoValue && model_.value(id).needs_gradient);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!is_sane(plan.outputs[i].shape)) {
      return invalid_error("its output would have the shape %s, which is too large",
                           to_string(plan.outputs[i].shape).c_str());
    }
    if (outputs[i].empty()) {
      node.outputs.push_back(kNoValue);
      continue;
    }
    Value value;
    value.name = outputs[i];
    value.type = plan.outputs[i];
    value.needs_gradient = needs_gradient && value.type.dtype == DType::kFloat32;
    node.outputs.push_back(add_value(std::move(value)));
  }
  std::vector<ValueId> ids = node.outputs;
  model_.nodes.push_back(std::move(node));
  return ids;
}

Model ModelBuilder::finish(ValueId input, ValueId output) {
  const std::vector<bool> live = find_live_nodes(model_, output);
  std::vector<ValueId> renumbered(model_.values.size(), kNoValue);
  const auto keep = [&](ValueId id) {
    if (id != kNoValue) renumbered[static_cast<size_t>(id)] = 0;
  };
  keep(input);
  keep(output);
  for (size_t i = 0; i < model_.nodes.size(); ++i) {
    if (!live[i]) continue;
    for (const ValueId id : model_.nodes[i].inputs) keep(id);
    for (const ValueId id : model_.nodes[i].outputs) keep(id);
  }
  Model result;
  result.notes = std::move(model_.notes);
  for (size_t i = 0; i < model_.values.size(); ++i) {
    if (renumbered[i] == kNoValue) continue;
    renumbered[i] = static_cast<ValueId>(result.values.size());
    result.values.push_back(std::move(model_.values[i]));
  }
  const auto renumber = [&](ValueId* id) {
    if (*id != kNoValue) *id = renumbered[static_cast<size_t>(*id)];
  };
  for (Value& value : result.values) renumber(&value.updates);
  for (size_t i = 0; i < model_.nodes.size(); ++i) {
    if (!live[i]) continue;
    Node& node = result.nodes.emplace_back(std::move(model_.nodes[i]));
    for (ValueId& id : node.inputs) renumber(&id);
    for (ValueId& id : node.outputs) renumber(&id);
  }
  result.input = renumbered[static_cast<size_t>(input)];
  result.output = renumbered[static_cast<size_t>(output)];
  connect(&result);
  return result;
}

}  // namespace ft
