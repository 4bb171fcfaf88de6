#include "onnx_import/onnx_file.h"

#include <algorithm>
#include <bit>
#include <climits>
#include <cstring>
#include <exception>
#include <optional>
#include <set>

#include "onnx/onnx.pb.h"

namespace ft {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

Status check_name(const std::string& name, const char* what) {
  if (name.size() > kOnnxNameBytesMax) {
    return invalid_error("a %s's name has %zu bytes; at most %zu are read", what, name.size(),
                         kOnnxNameBytesMax);
  }
  // Names end up on a terminal.
  for (const char letter : name) {
    if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) {
      return invalid_error("a %s's name holds control characters: the file is damaged", what);
    }
  }
  return {};
}

Result<Shape> read_dims(const onnx::TensorProto& tensor, const std::string& what) {
  if (tensor.dims_size() > kRankMax) {
    return invalid_error("%s has %d dimensions; at most %d are supported", what.c_str(),
                         tensor.dims_size(), kRankMax);
  }
  const Shape shape(std::span<const int64_t>(tensor.dims().data(), tensor.dims_size()));
  if (!is_sane(shape)) {
    return invalid_error("%s has impossible dimensions %s", what.c_str(), to_string(shape).c_str());
  }
  return shape;
}

// Elements of type From, in raw bytes or in a typed field, as To.
template <typename From, typename To, typename Field>
Result<Constant> read_elements(const onnx::TensorProto& tensor, const Field& field,
                               const Shape& shape, const std::string& what) {
  const size_t count = static_cast<size_t>(shape.element_count());
  const bool is_raw = tensor.has_raw_data();
  const size_t found = is_raw ? tensor.raw_data().size() : static_cast<size_t>(field.size());
  const size_t expected = is_raw ? count * sizeof(From) : count;
  if (found != expected) {
    return invalid_error("%s of shape %s holds %zu %s instead of %zu: the file is damaged",
                         what.c_str(), to_string(shape).c_str(), found,
                         is_raw ? "bytes" : "elements", expected);
  }
  constexpr DType kDtype = std::is_same_v<To, float> ? DType::kFloat32 : DType::kInt64;
  BufferPtr buffer = make_buffer(uint64_t{count} * sizeof(To));
  To* to = reinterpret_cast<To*>(buffer->data());
  for (size_t i = 0; i < count; ++i) {
    From from;
    if (is_raw) {
      std::memcpy(&from, tensor.raw_data().data() + i * sizeof(From), sizeof(From));
    } else {
      from = static_cast<From>(field.Get(static_cast<int>(i)));
    }
    to[i] = static_cast<To>(from);
  }
  return Constant{{kDtype, shape}, std::move(buffer)};
}

Result<Constant> read_tensor(const onnx::TensorProto& tensor, const std::string& what) {
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL || tensor.external_data_size() > 0) {
    return invalid_error(
        "%s is stored outside the file; save the model in one file: python3 -c \"import onnx; "
        "onnx.save(onnx.load('MODEL.onnx'), 'ONE.onnx')\"",
        what.c_str());
  }
  if (tensor.has_segment())
    return invalid_error("%s is stored in segments, which ONNX does not use: the file is damaged",
                         what.c_str());
  FT_ASSIGN_OR_RETURN(const Shape shape, read_dims(tensor, what));
  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT:
      return read_elements<float, float>(tensor, tensor.float_data(), shape, what);
    case onnx::TensorProto::DOUBLE:
      return read_elements<double, float>(tensor, tensor.double_data(), shape, what);
    case onnx::TensorProto::INT64:
      return read_elements<int64_t, int64_t>(tensor, tensor.int64_data(), shape, what);
    case onnx::TensorProto::INT32:
      return read_elements<int32_t, int64_t>(tensor, tensor.int32_data(), shape, what);
    case onnx::TensorProto::BOOL:
      return read_elements<uint8_t, int64_t>(tensor, tensor.int32_data(), shape, what);
    default:
      return invalid_error(
          "%s has ONNX data type %d; float32, double, int64, int32 and bool are "
          "supported: export the model in float32",
          what.c_str(), tensor.data_type());
  }
}

Status read_attribute(const onnx::AttributeProto& from, OnnxNode* node) {
  FT_RETURN_IF_ERROR(check_name(from.name(), "attribute"));
  const std::string& name = from.name();
  switch (from.type()) {
    case onnx::AttributeProto::INT:
      node->attributes.set(name, int64_t{from.i()});
      return {};
    case onnx::AttributeProto::FLOAT:
      node->attributes.set(name, from.f());
      return {};
    case onnx::AttributeProto::STRING:
      node->attributes.set(name, from.s());
      return {};
    case onnx::AttributeProto::INTS:
      node->attributes.set(name, std::vector<int64_t>(from.ints().begin(), from.ints().end()));
      return {};
    case onnx::AttributeProto::FLOATS:
      node->attributes.set(name, std::vector<float>(from.floats().begin(), from.floats().end()));
      return {};
    case onnx::AttributeProto::TENSOR: {
      const std::string what =
          format("node '%s': attribute '%s'", node->name.c_str(), name.c_str());
      FT_ASSIGN_OR_RETURN(node->tensors[name], read_tensor(from.t(), what));
      return {};
    }
    case onnx::AttributeProto::GRAPH:
    case onnx::AttributeProto::GRAPHS:
      node->unsupported = "control flow (attribute '" + name +
                          "' holds a graph) is not supported; "
                          "export a model without data-dependent branches";
      return {};
    default:
      node->unsupported = "attribute '" + name + "' is of a type that no supported operator has";
      return {};
  }
}

Result<OnnxNode> read_node(const onnx::NodeProto& from, int index) {
  OnnxNode node;
  node.index = index;
  node.op = from.op_type();
  node.domain = from.domain() == "ai.onnx" ? "" : from.domain();
  node.inputs.assign(from.input().begin(), from.input().end());
  node.outputs.assign(from.output().begin(), from.output().end());
  node.name = from.name();
  if (node.name.empty()) {
    node.name = node.op + ":" + (node.outputs.empty() ? std::to_string(index) : node.outputs[0]);
  }
  if (node.inputs.size() > kOnnxFanMax || node.outputs.size() > kOnnxFanMax) {
    return invalid_error("a node has more than %zu inputs or outputs", kOnnxFanMax);
  }
  for (const std::string* name : {&node.op, &node.domain}) {
    FT_RETURN_IF_ERROR(check_name(*name, "node"));
  }
  if (!from.name().empty()) FT_RETURN_IF_ERROR(check_name(node.name, "node"));
  for (const std::string& name : node.inputs) FT_RETURN_IF_ERROR(check_name(name, "value"));
  for (const std::string& name : node.outputs) FT_RETURN_IF_ERROR(check_name(name, "value"));
  for (const onnx::AttributeProto& attribute : from.attribute()) {
    FT_RETURN_IF_ERROR(read_attribute(attribute, &node));
  }
  return node;
}

// https://onnx.ai/onnx/operators/onnx__Constant.html, all but strings and sparse tensors.
std::optional<Constant> constant_of(const OnnxNode& node) {
  if (node.op != "Constant" || !node.domain.empty() || !node.unsupported.empty() ||
      node.outputs.size() != 1) {
    return std::nullopt;
  }
  if (const auto value = node.tensors.find("value"); value != node.tensors.end()) {
    return value->second;
  }
  for (const auto& [name, value] : node.attributes.values()) {
    if (const auto* i = std::get_if<int64_t>(&value); i != nullptr && name == "value_int") {
      return make_constant(Shape{}, std::span(i, 1));
    }
    if (const auto* f = std::get_if<float>(&value); f != nullptr && name == "value_float") {
      return make_constant(Shape{}, std::span(f, 1));
    }
    if (const auto* ints = std::get_if<std::vector<int64_t>>(&value);
        ints != nullptr && name == "value_ints") {
      return make_constant(*ints);
    }
    if (const auto* floats = std::get_if<std::vector<float>>(&value);
        floats != nullptr && name == "value_floats") {
      return make_constant(Shape{static_cast<int64_t>(floats->size())}, std::span(*floats));
    }
  }
  return std::nullopt;
}

Result<OnnxInput> read_input(const onnx::ValueInfoProto& from) {
  OnnxInput input;
  input.name = from.name();
  FT_RETURN_IF_ERROR(check_name(input.name, "input"));
  const onnx::TypeProto_Tensor& tensor = from.type().tensor_type();
  input.is_float = tensor.elem_type() == onnx::TensorProto::FLOAT;
  if (tensor.shape().dim_size() > kRankMax) {
    return invalid_error("input '%s' has %d dimensions; at most %d are supported",
                         input.name.c_str(), tensor.shape().dim_size(), kRankMax);
  }
  for (const onnx::TensorShapeProto_Dimension& dim : tensor.shape().dim()) {
    // PyTorch writes no 0 and some tools write 0 or -1 for "unknown".
    const bool is_symbolic = !dim.has_dim_value() || dim.dim_value() <= 0;
    input.dims.push_back({is_symbolic, is_symbolic ? 0 : dim.dim_value()});
  }
  return input;
}

// PyTorch's newer exporter writes 18 and more whatever it is asked for; its older one is still
// there.
constexpr const char* kAdviceForNew =
    "export again with opset_version=17 (from PyTorch 2.9 on: torch.onnx.export(..., dynamo=False, "
    "opset_version=17))";
constexpr const char* kAdviceForOld =
    "export again with opset_version=14, or convert the file: python3 -c \"import onnx; from onnx "
    "import version_converter; onnx.save(version_converter.convert_version(onnx.load('OLD.onnx'), "
    "13), 'NEW.onnx')\"";

Result<int> read_opset(const onnx::ModelProto& model) {
  for (const onnx::OperatorSetIdProto& opset : model.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() < kOpsetMin || opset.version() > kOpsetMax) {
      return invalid_error("the model uses opset %lld; %d to %d are supported: %s",
                           static_cast<long long>(opset.version()), kOpsetMin, kOpsetMax,
                           opset.version() < kOpsetMin ? kAdviceForOld : kAdviceForNew);
    }
    return static_cast<int>(opset.version());
  }
  return invalid_error("the file names no opset: it is not an ONNX model, or damaged");
}

// Each tensor's bytes are freed when they are read: the weights are never there three times, with
// the file.
Status read_initializers(onnx::GraphProto* proto, OnnxGraph* graph) {
  if (proto->sparse_initializer_size() > 0) {
    return invalid_error("sparse initializers are not supported; export dense weights");
  }
  for (onnx::TensorProto& tensor : *proto->mutable_initializer()) {
    FT_RETURN_IF_ERROR(check_name(tensor.name(), "initializer"));
    const std::string what = "initializer '" + tensor.name() + "'";
    FT_ASSIGN_OR_RETURN(Constant constant, read_tensor(tensor, what));
    delete tensor.release_raw_data();
    if (tensor.name().empty() ||
        !graph->initializers.emplace(tensor.name(), std::move(constant)).second) {
      return invalid_error("%s is nameless or defined twice: the file is damaged", what.c_str());
    }
    graph->initializer_order.push_back(tensor.name());
  }
  return {};
}

// Moves what Constant nodes make out of the list of nodes.
Status take_constants(OnnxGraph* graph) {
  std::vector<OnnxNode> kept;
  for (OnnxNode& node : graph->nodes) {
    std::optional<Constant> constant = constant_of(node);
    if (constant) graph->constant_nodes[node.outputs[0]] = node.index;
    if (!constant) {
      kept.push_back(std::move(node));
    } else if (!graph->constants.emplace(node.outputs[0], std::move(*constant)).second) {
      return invalid_error("node '%s': its output '%s' is defined twice", node.name.c_str(),
                           node.outputs[0].c_str());
    }
  }
  graph->nodes = std::move(kept);
  return {};
}

Status read_values(const onnx::GraphProto& from, OnnxGraph* graph) {
  std::set<std::string> names;
  for (const auto& [name, constant] : graph->initializers) names.insert(name);
  for (const auto& [name, constant] : graph->constants) {
    if (!names.insert(name).second) {
      return invalid_error("value '%s' is defined twice", name.c_str());
    }
  }
  for (const onnx::ValueInfoProto& value : from.input()) {
    FT_ASSIGN_OR_RETURN(OnnxInput input, read_input(value));
    if (graph->initializers.count(input.name) != 0) continue;
    if (!names.insert(input.name).second) {
      return invalid_error("input '%s' is defined twice", input.name.c_str());
    }
    graph->inputs.push_back(std::move(input));
  }
  for (const OnnxNode& node : graph->nodes) {
    for (const std::string& output : node.outputs) {
      if (!output.empty() && !names.insert(output).second) {
        return invalid_error("node '%s': its output '%s' is defined twice", node.name.c_str(),
                             output.c_str());
      }
    }
  }
  for (const onnx::ValueInfoProto& value : from.output()) {
    FT_RETURN_IF_ERROR(check_name(value.name(), "output"));
    if (names.count(value.name()) == 0) {
      return invalid_error("the graph's output '%s' is made by no node: the file is damaged",
                           value.name().c_str());
    }
    graph->outputs.push_back(value.name());
  }
  if (graph->outputs.empty())
    return invalid_error("the graph has no output: export a model that returns a tensor");
  return {};
}

Status parse_proto(std::span<const std::byte> file, onnx::ModelProto* model) {
  if (file.size() > INT_MAX || !model->ParseFromArray(file.data(), static_cast<int>(file.size()))) {
    return invalid_error("the file is not an ONNX model, is damaged, or is larger than 2 GiB");
  }
  if (!model->has_graph()) return invalid_error("the file holds no graph: not an ONNX model");
  return {};
}

Result<OnnxGraph> read_model(onnx::ModelProto&& model) {
  OnnxGraph graph;
  FT_ASSIGN_OR_RETURN(graph.opset, read_opset(model));
  graph.producer = model.producer_name();
  graph.producer_version = model.producer_version();
  FT_RETURN_IF_ERROR(check_name(graph.producer, "producer"));
  FT_RETURN_IF_ERROR(check_name(graph.producer_version, "producer's version"));
  if (static_cast<size_t>(model.graph().node_size()) > kOnnxNodesMax) {
    return invalid_error("the graph has %d nodes; at most %zu are read", model.graph().node_size(),
                         kOnnxNodesMax);
  }
  FT_RETURN_IF_ERROR(read_initializers(model.mutable_graph(), &graph));
  for (int i = 0; i < model.graph().node_size(); ++i) {
    FT_ASSIGN_OR_RETURN(OnnxNode node, read_node(model.graph().node(i), i));
    node.opset = graph.opset;
    graph.nodes.push_back(std::move(node));
  }
  FT_RETURN_IF_ERROR(take_constants(&graph));
  FT_RETURN_IF_ERROR(read_values(model.graph(), &graph));
  return graph;
}

// ---- Edits ----

Status write_floats(const Shape& shape, const Buffer& floats, const std::string& what,
                    onnx::TensorProto* tensor) {
  if (floats.size() != static_cast<size_t>(shape.element_count()) * sizeof(float)) {
    return invalid_error("'%s' of shape %s gets %zu bytes", what.c_str(), to_string(shape).c_str(),
                         floats.size());
  }
  tensor->clear_dims();
  for (const int64_t dim : shape.dims()) tensor->add_dims(dim);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  tensor->set_raw_data(floats.data(), floats.size());
  return {};
}

// A Constant node's tensor, whatever attribute holds it.
Status write_constant(const Buffer& floats, onnx::NodeProto* node) {
  if (node->op_type() != "Constant") {
    return invalid_error("the file is not the one the model was imported from");
  }
  Shape shape;
  for (const onnx::AttributeProto& attribute : node->attribute()) {
    if (attribute.type() == onnx::AttributeProto::FLOATS) {
      shape = Shape{attribute.floats_size()};
    } else if (attribute.type() == onnx::AttributeProto::TENSOR) {
      FT_ASSIGN_OR_RETURN(shape, read_dims(attribute.t(), node->name()));
    }
  }
  node->clear_attribute();
  onnx::AttributeProto* value = node->add_attribute();
  value->set_name("value");
  value->set_type(onnx::AttributeProto::TENSOR);
  return write_floats(shape, floats, node->name(), value->mutable_t());
}

Status apply_node_edit(const OnnxNodeEdit& edit, onnx::NodeProto* node) {
  if (edit.input_count >= 0 && edit.input_count < node->input_size()) {
    node->mutable_input()->DeleteSubrange(edit.input_count, node->input_size() - edit.input_count);
  }
  if (edit.output_count >= 0 && edit.output_count < node->output_size()) {
    node->mutable_output()->DeleteSubrange(edit.output_count,
                                           node->output_size() - edit.output_count);
  }
  if (!edit.op.empty()) node->set_op_type(edit.op);
  const std::vector<std::string>& removed = edit.remove_attributes;
  for (int i = node->attribute_size() - 1; i >= 0; --i) {
    if (std::find(removed.begin(), removed.end(), node->attribute(i).name()) != removed.end()) {
      node->mutable_attribute()->DeleteSubrange(i, 1);
    }
  }
  for (const auto& [position, name] : edit.inputs) {
    if (position < 0 || position >= node->input_size()) {
      return invalid_error("the file is not the one the model was imported from");
    }
    node->set_input(position, name);
  }
  return edit.constant == nullptr ? Status() : write_constant(*edit.constant, node);
}

// Keeps the elements for which `keep` holds, in order.
template <typename Message, typename Keep>
void filter(google::protobuf::RepeatedPtrField<Message>* field, const Keep& keep) {
  int kept = 0;
  for (int i = 0; i < field->size(); ++i) {
    if (!keep(field->Get(i), i)) continue;
    if (i != kept) field->SwapElements(i, kept);
    ++kept;
  }
  field->DeleteSubrange(kept, field->size() - kept);
}

Status apply_initializers(const std::vector<OnnxInitializerEdit>& edits, onnx::GraphProto* graph) {
  std::map<std::string, int> positions;
  for (int i = 0; i < graph->initializer_size(); ++i) {
    positions[graph->initializer(i).name()] = i;
  }
  for (const OnnxInitializerEdit& edit : edits) {
    const auto old = positions.find(edit.name);
    if ((old == positions.end()) != edit.is_new) {
      return invalid_error(
          "the file %s initializer '%s': it is not the one the model was imported from",
          edit.is_new ? "has an" : "has no", edit.name.c_str());
    }
    onnx::TensorProto tensor;
    tensor.set_name(edit.name);
    FT_RETURN_IF_ERROR(write_floats(edit.shape, *edit.floats, edit.name, &tensor));
    if (edit.is_new) {
      graph->add_initializer()->Swap(&tensor);
    } else {
      graph->mutable_initializer(old->second)->Swap(&tensor);
    }
  }
  return {};
}

Status apply_edits(const OnnxEdits& edits, onnx::GraphProto* graph) {
  std::set<int> removed;
  for (const OnnxNodeEdit& edit : edits.nodes) {
    if (edit.index < 0 || edit.index >= graph->node_size()) {
      return invalid_error("the file is not the one the model was imported from");
    }
    if (edit.remove) removed.insert(edit.index);
    FT_RETURN_IF_ERROR(apply_node_edit(edit, graph->mutable_node(edit.index)));
  }
  filter(graph->mutable_node(), [&](const auto&, int i) { return removed.count(i) == 0; });
  FT_RETURN_IF_ERROR(apply_initializers(edits.initializers, graph));
  const auto unless = [](const std::vector<std::string>& names) {
    return [unwanted = std::set<std::string>(names.begin(), names.end())](
               const auto& message, int) { return unwanted.count(message.name()) == 0; };
  };
  filter(graph->mutable_initializer(), unless(edits.remove_initializers));
  filter(graph->mutable_input(), unless(edits.remove_initializers));
  filter(graph->mutable_output(), unless(edits.remove_outputs));
  graph->clear_value_info();  // optional, and may speak of values that are gone
  return {};
}

}  // namespace

Result<OnnxGraph> parse_onnx(std::span<const std::byte> file) {
  try {
    onnx::ModelProto model;
    FT_RETURN_IF_ERROR(parse_proto(file, &model));
    return read_model(std::move(model));
  } catch (const std::exception& error) {
    return invalid_error("the file cannot be read: %s", error.what());
  }
}

Result<std::vector<std::byte>> edit_onnx(std::span<const std::byte> file, const OnnxEdits& edits) {
  try {
    onnx::ModelProto model;
    FT_RETURN_IF_ERROR(parse_proto(file, &model));
    FT_RETURN_IF_ERROR(apply_edits(edits, model.mutable_graph()));
    const size_t size = model.ByteSizeLong();
    if (size > INT_MAX) return failed_error("the exported model is larger than 2 GiB");
    std::vector<std::byte> bytes(size);
    if (!model.SerializeToArray(bytes.data(), static_cast<int>(size))) {
      return failed_error("the exported model cannot be written");
    }
    return bytes;
  } catch (const std::exception& error) {
    return invalid_error("the file cannot be edited: %s", error.what());
  }
}

}  // namespace ft
