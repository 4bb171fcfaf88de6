#pragma once

// The commands beside training, one function each. The status's code is the exit code.

#include "runtime/node/options.h"

namespace ft {

Status inspect(const Options& options);
Status profile(const Options& options);
Status plan(const Options& options);
Status evaluate(const Options& options);
Status export_run(const Options& options);
Status replay(const Options& options);
Status keygen(const Options& options);
Status doctor(const Options& options);

}  // namespace ft
