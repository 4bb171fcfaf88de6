#pragma once

// Writes small ONNX files for tests, field by field on protobuf's wire format: the ONNX classes are
// for onnx_file.cpp alone, and a test can write what the classes would refuse to.

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "onnx_import/model.h"
#include "runtime/base/status.h"

namespace ft {

// A protobuf message under construction.
class WireMessage {
 public:
  WireMessage& integer(int field, int64_t value);
  WireMessage& floating(int field, float value);
  WireMessage& bytes(int field, const std::string& value);
  WireMessage& message(int field, const WireMessage& value) { return bytes(field, value.data_); }
  const std::string& data() const { return data_; }

 private:
  void varint(uint64_t value);
  std::string data_;
};

using TestAttribute = std::variant<int64_t, float, std::string, std::vector<int64_t>>;
using TestAttributes = std::map<std::string, TestAttribute>;

// float32 or int64, in raw_data.
WireMessage float_tensor(const std::string& name, const std::vector<int64_t>& dims,
                         const std::vector<float>& values);
WireMessage int_tensor(const std::string& name, const std::vector<int64_t>& dims,
                       const std::vector<int64_t>& values);
// One value, no dimensions.
WireMessage bool_tensor(const std::string& name, bool value);

class OnnxWriter {
 public:
  explicit OnnxWriter(int opset = 14) : opset_(opset) {}

  // Nobody's unless given; "pytorch" is the TorchScript exporter.
  OnnxWriter& producer(const std::string& name, const std::string& version);
  // The first dimension -1: symbolic.
  OnnxWriter& input(const std::string& name, const std::vector<int64_t>& dims);
  OnnxWriter& output(const std::string& name, const std::vector<int64_t>& dims = {});
  // Values 0.5, 1.5, ... unless given.
  OnnxWriter& weight(const std::string& name, const std::vector<int64_t>& dims);
  OnnxWriter& initializer(const WireMessage& tensor);
  // The node's name is its output's unless given.
  OnnxWriter& node(const std::string& op, const std::vector<std::string>& inputs,
                   const std::vector<std::string>& outputs, const TestAttributes& attributes = {},
                   const std::string& domain = "", const std::string& name = "");
  // A Constant node.
  OnnxWriter& constant(const std::string& name, const std::vector<int64_t>& dims,
                       const std::vector<int64_t>& values);
  OnnxWriter& constant(const std::string& name, const std::vector<int64_t>& dims,
                       const std::vector<float>& values);
  OnnxWriter& constant(const std::string& name, const WireMessage& tensor);

  std::vector<std::byte> bytes() const;

 private:
  int opset_;
  std::string producer_;
  std::string producer_version_;
  WireMessage graph_;
};

// The file's bytes. A missing file ends the program.
std::vector<std::byte> read_golden(const std::string& name);

// One line for each value, node and layer: for comparing structures.
std::string describe(const Model& model, bool with_shapes);

// Nodes of that op.
int count_ops(const Model& model, const std::string& op);
// kNoValue when there is none.
ValueId find_value(const Model& model, const std::string& name);

}  // namespace ft
