#pragma once

// `ftrun MODEL.onnx [--role ...]`: the four roles.

#include "runtime/node/options.h"

namespace ft {

// Trains until done. The status's code is the exit code.
Status train(const Options& options);

// Endpoints other than loopback need keys or --insecure. Errors: kInvalid.
Status check_endpoint(const char* option, const std::string& endpoint, bool insecure);

}  // namespace ft
