#pragma once

// The bytes of an ONNX file <-> plain structs. This pair is the only one that knows protobuf; its
// types and exceptions stop in onnx_file.cpp. Parsing believes nothing: every size is checked
// before memory is taken for it, tensors outside the file are refused, and names are printable.
//
// Format: https://github.com/onnx/onnx/blob/v1.12.0/docs/IR.md

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/op.h"
#include "onnx_import/constant.h"
#include "onnx_import/model.h"
#include "runtime/base/status.h"

namespace ft {

constexpr int kOpsetMin = 13;
constexpr int kOpsetMax = 17;
constexpr size_t kOnnxNodesMax = 100000;
constexpr size_t kOnnxNameBytesMax = 1024;
constexpr size_t kOnnxFanMax = 4096;  // inputs or outputs of one node

struct OnnxNode {
  int index = 0;     // position in the file
  int opset = 0;     // the file's, unless a pass rewrote the node into a newer form
  std::string name;  // as in the file, or made from the op and its first output
  std::string op;
  std::string domain;                // "" for ai.onnx
  std::vector<std::string> inputs;   // "" where an optional one is left out
  std::vector<std::string> outputs;  // likewise
  Attributes attributes;             // all but tensors
  std::map<std::string, Constant> tensors;
  std::string unsupported;  // why the node cannot be read (a subgraph, say), or empty
};

struct OnnxDim {
  bool is_symbolic = true;  // a name, or unknown
  int64_t value = 0;        // when not symbolic
};

struct OnnxInput {
  std::string name;
  bool is_float = false;
  std::vector<OnnxDim> dims;
};

// Names of values are unique: each is an input, an initializer (perhaps listed as an input, too) or
// the output of one node.
struct OnnxGraph {
  int opset = 0;
  std::string producer;  // "pytorch", say; printable
  std::string producer_version;
  std::vector<OnnxNode> nodes;                 // without those of op Constant
  std::map<std::string, Constant> constants;   // what those make
  std::map<std::string, int> constant_nodes;   // by what they make: their position in the file
  std::vector<std::string> initializer_order;  // as in the file
  std::map<std::string, Constant> initializers;
  std::map<std::string, TensorRole> roles;  // of initializers; filled by decide_tensors()
  std::vector<OnnxInput> inputs;            // initializers listed as inputs left out
  std::vector<std::string> outputs;         // at least one
};

// Errors: kInvalid.
Result<OnnxGraph> parse_onnx(std::span<const std::byte> file);

// What an export changes. Everything that is not named here stays as it was.
struct OnnxNodeEdit {
  int index = 0;  // OnnxNode::index
  bool remove = false;
  int input_count = -1;   // drop the inputs from here on; -1: keep all
  int output_count = -1;  // likewise
  std::vector<std::string> remove_attributes;
  std::string op = {};                     // another operator; empty: the same
  std::map<int, std::string> inputs = {};  // renamed, by position
  ConstBufferPtr constant = nullptr;       // the floats of a Constant node's tensor
};

struct OnnxInitializerEdit {
  std::string name;
  Shape shape;
  bool is_new = false;  // added, else replaced
  ConstBufferPtr floats;
};

struct OnnxEdits {
  std::vector<OnnxNodeEdit> nodes;
  std::vector<OnnxInitializerEdit> initializers;
  std::vector<std::string> remove_initializers;
  std::vector<std::string> remove_outputs;  // of the graph
};

// Errors: kInvalid when the file cannot be parsed or the sizes do not fit, kFailed when the result
// is too large for the format (2 GiB).
Result<std::vector<std::byte>> edit_onnx(std::span<const std::byte> file, const OnnxEdits& edits);

}  // namespace ft
