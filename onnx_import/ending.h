#pragma once

// How a model ends: its last operator, behind whatever only keeps or drops axes of one element.
// Cross-entropy wants logits. A Softmax or LogSoftmax over the classes at the end belongs to the
// loss then: the loss of a probability's logarithm is the loss of the logits, so the node is left
// out and nothing else changes; the largest class stays the same.

#include <string>

#include "onnx_import/model.h"

namespace ft {

// The node's index, or -1 when nothing but such views lies between input and output.
int32_t last_operator(const Model& model, ValueId output);

// Takes a Softmax or LogSoftmax over the classes out of the way to `output`, which is in logical
// order, and says so in the model's notes; one over another axis stays. Returns the new output.
// The node itself is dead then. Producers and consumers need not be known.
ValueId leave_out_softmax(Model* model, ValueId output);

}  // namespace ft
