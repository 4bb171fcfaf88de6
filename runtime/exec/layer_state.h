#pragma once

// A layer's state at one version, immutable once written (DESIGN 2): parameters with the
// optimizer's state, made by the step, and running statistics, made by the forward pass: two
// chains.
//
// A snapshot of a layer is the concatenation [parameters | optimizer slot 0 | ... | statistics],
// float32, parameters and statistics in the order of Layer::parameters and Layer::statistics. A
// version is kept in this very form, so that a cut is a reference to it and no copy.

#include <cstdint>
#include <vector>

#include "kernels/optimizer.h"
#include "onnx_import/model.h"
#include "runtime/base/buffer.h"
#include "runtime/base/status.h"

namespace ft {

// Where things stand in a layer's buffers, in float32 elements.
struct LayerLayout {
  int64_t parameter_count = 0;  // all parameters together
  int64_t slot_count = 0;       // optimizer slots, each parameter_count elements
  int64_t statistic_count = 0;
  std::vector<int64_t> parameter_offsets;  // by position in Layer::parameters
  std::vector<int64_t> statistic_offsets;

  int64_t parameter_bytes() const { return parameter_count * (1 + slot_count) * 4; }
  int64_t statistic_bytes() const { return statistic_count * 4; }
  int64_t snapshot_bytes() const { return parameter_bytes() + statistic_bytes(); }
};

LayerLayout layer_layout(const Model& model, int layer, const OptimizerOptions& optimizer);

struct LayerState {
  ConstBufferPtr snapshot;    // LayerLayout::snapshot_bytes()
  ConstBufferPtr statistics;  // its last LayerLayout::statistic_bytes(), in a buffer of their own
};

// Version -1: what the model file holds, with an optimizer that has not stepped.
LayerState initial_state(const Model& model, int layer, const LayerLayout& layout);

// Shares the snapshot. Errors: kRefused when the size does not fit the layout.
Result<LayerState> from_snapshot(const LayerLayout& layout, const ConstBufferPtr& snapshot);

// A cut is worth keeping only if all its numbers are finite: everything that becomes a checkpoint,
// a replica or an export passes here. `version` is what the snapshot stands at. Errors: kFailed,
// naming the batch, the tensor, the value and the remedy.
Status check_finite(const Model& model, int layer, const LayerLayout& layout,
                    const Buffer& snapshot, int64_t version);

// Values by id, from one state per layer of the whole model; null where a value is no state. They
// are parts of the states' buffers.
std::vector<ConstBufferPtr> values_of_states(const Model& model,
                                             const std::vector<LayerLayout>& layouts,
                                             const std::vector<LayerState>& states);

// DESIGN 7: SHA-256 over all parameters, trained and frozen, and running statistics in name order,
// little-endian float32, as hex. `values` as values_of_states makes it.
std::string weights_sha256(const Model& model, const std::vector<ConstBufferPtr>& values);

}  // namespace ft
