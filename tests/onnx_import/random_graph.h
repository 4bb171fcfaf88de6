#pragma once

// Small random graphs for a file with a fixed batch: views, transposes, products, pools and norms
// that now keep a batch's rows apart and now mix them.

#include <cstdint>

#include "tests/onnx_import/onnx_writer.h"

namespace ft {

constexpr int64_t kRandomGraphBatch = 5;

struct RandomGraph {
  OnnxWriter writer;
  int64_t sample_elements = 0;
};

// A pure function of the seed. The graph need not be one that the importer takes.
RandomGraph random_graph(uint64_t seed);

}  // namespace ft
