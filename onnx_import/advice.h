#pragma once

// What a person can do about a node that is not supported: for operators of which it is known where
// they come from.

#include <string>

#include "onnx_import/onnx_file.h"

namespace ft {

// Cause and remedy. REQUIRES: the node's operator is not in the table, or not of ONNX's own domain.
std::string advice_for(const OnnxNode& node);

}  // namespace ft
