#pragma once

// Cuts a model's nodes into layers. A layer begins at every node that has a weight of its own (of
// rank 2 or more, as Conv, Gemm and MatMul have) and at every pool; what follows it (batch norm,
// activation, sum, transpose) belongs to it. What is computed from weights alone belongs to the
// node that reads it. So a cut lies in front of what costs time, and behind what is cheap and
// often makes the tensor smaller.

#include "onnx_import/model.h"

namespace ft {

// REQUIRES: nodes, producers and consumers are final.
void make_layers(Model* model);

}  // namespace ft
