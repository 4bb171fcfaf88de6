#pragma once

// An ONNX file -> Model. Everything ONNX (protobuf classes, opset differences, constant folding,
// shape inference, aliasing, layout) ends here. ONNX's own checker, shape inference and external
// data loader are not used (memory-safety bugs in 1.12).
//
// Accepts opsets 13 to 17 of the ai.onnx domain, as PyTorch 1.13 exports them in training and
// inference form; the batch dimension may be fixed or symbolic.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "onnx_import/model.h"
#include "runtime/base/status.h"

namespace ft {

// What a person decided about initializers, by name ("*" and "?" match as in a shell).
struct RoleChoices {
  std::vector<std::string> freeze;  // does not train
  std::vector<std::string> train;   // trains, whatever the rules say
  std::vector<std::string> tie;     // "A=B": one tensor
  std::vector<std::string> untie;   // each reader has its own

  bool operator==(const RoleChoices&) const = default;
};

struct ImportOptions {
  int64_t batch = 1;          // rows to bind the batch dimension to
  bool cross_entropy = true;  // the loss wants logits: a Softmax at the end is left to it
  RoleChoices roles = {};

  bool operator==(const ImportOptions&) const = default;
};

// A node that cannot be trained, and why.
struct ImportProblem {
  std::string node;
  std::string op;
  std::string message;  // cause and remedy
};

// Errors: kInvalid. A model with unsupported nodes is refused with all of them at once, one line
// each ("node 'Conv_12' (Conv, opset 17): ..."), also in `problems` when it is not null. The
// messages do not name the file; the caller does.
Result<Model> import_model(std::span<const std::byte> file, const ImportOptions& options,
                           std::vector<ImportProblem>* problems = nullptr);

}  // namespace ft
