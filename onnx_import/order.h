#pragma once

// The order of execution: dead nodes removed, the rest sorted so that each comes after the nodes it
// reads from. A file's own order is kept where it is valid, with one exception: what is computed
// from weights alone (a transposed weight, say) moves to just before its first reader, so that it
// falls into that reader's layer and not into the one before.

#include "onnx_import/onnx_file.h"
#include "runtime/base/status.h"

namespace ft {

// Errors: kInvalid for a value that nothing makes, and for cycles.
Status sort_nodes(OnnxGraph* graph);

}  // namespace ft
