#include "tests/onnx_import/onnx_writer.h"

#include <cstdio>
#include <cstring>

#include "runtime/base/file.h"

namespace ft {
namespace {

constexpr int kWireVarint = 0;
constexpr int kWireBytes = 2;
constexpr int kWireFixed32 = 5;

template <typename T>
std::string raw(const std::vector<T>& values) {
  std::string text(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(text.data(), values.data(), text.size());
  return text;
}

template <typename T>
WireMessage tensor(const std::string& name, const std::vector<int64_t>& dims, int type,
                   const std::vector<T>& values) {
  WireMessage message;
  for (const int64_t dim : dims) message.integer(1, dim);
  return message.integer(2, type).bytes(8, name).bytes(9, raw(values));
}

WireMessage value_info(const std::string& name, const std::vector<int64_t>& dims) {
  WireMessage shape;
  for (const int64_t dim : dims) {
    WireMessage message;
    if (dim < 0) {
      message.bytes(2, "batch");
    } else {
      message.integer(1, dim);
    }
    shape.message(1, message);
  }
  WireMessage type;
  type.message(1, WireMessage().integer(1, 1).message(2, shape));
  return WireMessage().bytes(1, name).message(2, type);
}

WireMessage attribute(const std::string& name, const TestAttribute& value) {
  WireMessage message;
  message.bytes(1, name);
  if (const auto* i = std::get_if<int64_t>(&value)) return message.integer(3, *i).integer(20, 2);
  if (const auto* f = std::get_if<float>(&value)) return message.floating(2, *f).integer(20, 1);
  if (const auto* s = std::get_if<std::string>(&value)) return message.bytes(4, *s).integer(20, 3);
  for (const int64_t i : std::get<std::vector<int64_t>>(value)) message.integer(8, i);
  return message.integer(20, 7);
}

WireMessage constant_node(const std::string& name, const WireMessage& value) {
  const WireMessage holder = WireMessage().bytes(1, "value").message(5, value).integer(20, 4);
  return WireMessage().bytes(2, name).bytes(3, name).bytes(4, "Constant").message(5, holder);
}

}  // namespace

void WireMessage::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) data_ += static_cast<char>(value | 0x80);
  data_ += static_cast<char>(value);
}

WireMessage& WireMessage::integer(int field, int64_t value) {
  varint(static_cast<uint64_t>(field << 3 | kWireVarint));
  varint(static_cast<uint64_t>(value));
  return *this;
}

WireMessage& WireMessage::floating(int field, float value) {
  varint(static_cast<uint64_t>(field << 3 | kWireFixed32));
  data_ += raw(std::vector<float>{value});
  return *this;
}

WireMessage& WireMessage::bytes(int field, const std::string& value) {
  varint(static_cast<uint64_t>(field << 3 | kWireBytes));
  varint(value.size());
  data_ += value;
  return *this;
}

WireMessage float_tensor(const std::string& name, const std::vector<int64_t>& dims,
                         const std::vector<float>& values) {
  return tensor(name, dims, 1, values);
}

WireMessage int_tensor(const std::string& name, const std::vector<int64_t>& dims,
                       const std::vector<int64_t>& values) {
  return tensor(name, dims, 7, values);
}

OnnxWriter& OnnxWriter::producer(const std::string& name, const std::string& version) {
  producer_ = name;
  producer_version_ = version;
  return *this;
}

WireMessage bool_tensor(const std::string& name, bool value) {
  return WireMessage().integer(2, 9).bytes(8, name).bytes(9, std::string(1, value ? 1 : 0));
}

OnnxWriter& OnnxWriter::input(const std::string& name, const std::vector<int64_t>& dims) {
  graph_.message(11, value_info(name, dims));
  return *this;
}

OnnxWriter& OnnxWriter::output(const std::string& name, const std::vector<int64_t>& dims) {
  graph_.message(12, value_info(name, dims));
  return *this;
}

OnnxWriter& OnnxWriter::weight(const std::string& name, const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) + 0.5F;
  return initializer(float_tensor(name, dims, values));
}

OnnxWriter& OnnxWriter::initializer(const WireMessage& message) {
  graph_.message(5, message);
  return *this;
}

OnnxWriter& OnnxWriter::node(const std::string& op, const std::vector<std::string>& inputs,
                             const std::vector<std::string>& outputs,
                             const TestAttributes& attributes, const std::string& domain,
                             const std::string& node_name) {
  WireMessage message;
  for (const std::string& name : inputs) message.bytes(1, name);
  for (const std::string& name : outputs) message.bytes(2, name);
  message.bytes(3, node_name.empty() ? outputs[0] : node_name).bytes(4, op);
  for (const auto& [name, value] : attributes) message.message(5, attribute(name, value));
  if (!domain.empty()) message.bytes(7, domain);
  graph_.message(1, message);
  return *this;
}

OnnxWriter& OnnxWriter::constant(const std::string& name, const std::vector<int64_t>& dims,
                                 const std::vector<int64_t>& values) {
  graph_.message(1, constant_node(name, int_tensor("", dims, values)));
  return *this;
}

OnnxWriter& OnnxWriter::constant(const std::string& name, const std::vector<int64_t>& dims,
                                 const std::vector<float>& values) {
  graph_.message(1, constant_node(name, float_tensor("", dims, values)));
  return *this;
}

OnnxWriter& OnnxWriter::constant(const std::string& name, const WireMessage& tensor) {
  graph_.message(1, constant_node(name, tensor));
  return *this;
}

std::vector<std::byte> OnnxWriter::bytes() const {
  WireMessage graph = graph_;
  graph.bytes(2, "test");
  WireMessage model;
  model.integer(1, 7);
  if (!producer_.empty()) model.bytes(2, producer_).bytes(3, producer_version_);
  model.message(7, graph).message(8, WireMessage().bytes(1, "").integer(2, opset_));
  std::vector<std::byte> result(model.data().size());
  std::memcpy(result.data(), model.data().data(), result.size());
  return result;
}

std::vector<std::byte> read_golden(const std::string& name) {
  const Result<BufferPtr> file =
      read_file(std::string(FT_SOURCE_DIR) + "/tests/golden/models/" + name);
  if (!file.ok()) std::fprintf(stderr, "%s\n", file.status().message().c_str());
  FT_CHECK(file.ok());
  return {(*file)->bytes().begin(), (*file)->bytes().end()};
}

std::string describe(const Model& model, bool with_shapes) {
  std::string text;
  for (const Value& value : model.values) {
    text += format("%s %d %d %d %d", value.name.c_str(), static_cast<int>(value.kind),
                   value.updates, value.producer, value.needs_gradient ? 1 : 0);
    if (with_shapes) text += " " + to_string(value.type.shape);
    for (const int32_t consumer : value.consumers) text += format(" %d", consumer);
    text += '\n';
  }
  for (const Node& node : model.nodes) {
    text += node.name + " " + node.op->name;
    for (const ValueId id : node.inputs) text += format(" %d", id);
    text += " ->";
    for (const ValueId id : node.outputs) text += format(" %d", id);
    text += '\n';
  }
  for (const Layer& layer : model.layers) {
    text += format("%s %d %d\n", layer.name.c_str(), layer.node_first, layer.node_last);
  }
  return text;
}

int count_ops(const Model& model, const std::string& op) {
  int count = 0;
  for (const Node& node : model.nodes) count += node.op->name == op;
  return count;
}

ValueId find_value(const Model& model, const std::string& name) {
  for (size_t i = 0; i < model.values.size(); ++i) {
    if (model.values[i].name == name) return static_cast<ValueId>(i);
  }
  return kNoValue;
}

}  // namespace ft
