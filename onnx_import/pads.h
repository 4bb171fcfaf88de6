#pragma once

// A Pad that only widens what a sliding window sees becomes pads of the window:
//   zeros before Conv            its own pads grow (nn.ZeroPad2d, Keras' ZeroPadding2D)
//   zeros before AveragePool     pads with count_include_pad (PyTorch's avg_pool2d with padding)
//   minus infinity, or zeros after a Relu, before MaxPool: they never win over an element, and
//                                where they would stand equal the gradient is lost in the Relu
// The windows must be ones that ONNX places by explicit pads (no SAME_*, no ceil_mode).

#include "onnx_import/onnx_file.h"

namespace ft {

void absorb_pads(OnnxGraph* graph);

}  // namespace ft
