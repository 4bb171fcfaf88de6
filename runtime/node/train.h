#pragma once

// `ftrun MODEL.onnx [--role ...]`: the four roles.

#include "runtime/node/options.h"

namespace ft {

// Trains until done. The status's code is the exit code.
Status train(const Options& options);

}  // namespace ft
