#pragma once

// What the importer decided about tensors, for tests.

#include <doctest/doctest.h>
#include <string>

#include "onnx_import/import.h"
#include "tests/onnx_import/onnx_writer.h"

namespace ft {

inline Model model_of(const OnnxWriter& writer, const RoleChoices& roles = {}) {
  ImportOptions options;
  options.batch = 2;
  options.roles = roles;
  Result<Model> model = import_model(writer.bytes(), options);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return std::move(*model);
}

inline std::string refusal_of(const OnnxWriter& writer, const RoleChoices& roles) {
  ImportOptions options;
  options.batch = 2;
  options.roles = roles;
  const Result<Model> model = import_model(writer.bytes(), options);
  return model.ok() ? "" : model.status().message();
}

// A tensor that is not listed fails the test.
inline TensorInfo tensor_of(const Model& model, const std::string& name) {
  for (const TensorInfo& tensor : model.tensors) {
    if (tensor.name == name) return tensor;
  }
  FAIL("no tensor " << name);
  return {};
}

inline TensorRole role_of(const Model& model, const std::string& name) {
  return tensor_of(model, name).role;
}

inline bool has_text(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace ft
