#include "runtime/exec/layer_state.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/base/digest.h"

namespace ft {
namespace {

static_assert(std::endian::native == std::endian::little,
              "snapshots, frames and hashes are the memory's own bytes");

const Layer& layer_at(const Model& model, int layer) {
  return model.layers[static_cast<size_t>(layer)];
}

// Copies the initial bytes of `ids` one after the other.
void gather(const Model& model, const std::vector<ValueId>& ids, std::byte* target) {
  for (const ValueId id : ids) {
    const Value& value = model.value(id);
    std::memcpy(target, value.data->data(), value.data->size());
    target += value.data->size();
  }
}

}  // namespace

LayerLayout layer_layout(const Model& model, int layer, const OptimizerOptions& optimizer) {
  LayerLayout layout;
  for (const ValueId id : layer_at(model, layer).parameters) {
    layout.parameter_offsets.push_back(layout.parameter_count);
    layout.parameter_count += model.value(id).type.shape.element_count();
  }
  for (const ValueId id : layer_at(model, layer).statistics) {
    layout.statistic_offsets.push_back(layout.statistic_count);
    layout.statistic_count += model.value(id).type.shape.element_count();
  }
  layout.slot_count = optimizer_state_slots(optimizer);
  return layout;
}

LayerState initial_state(const Model& model, int layer, const LayerLayout& layout) {
  BufferPtr parameters = make_buffer(layout.parameter_bytes());
  std::memset(parameters->data(), 0, parameters->size());
  gather(model, layer_at(model, layer).parameters, parameters->data());
  BufferPtr statistics = make_buffer(layout.statistic_bytes());
  gather(model, layer_at(model, layer).statistics, statistics->data());
  return {parameters, statistics};
}

ConstBufferPtr to_snapshot(const LayerState& state) {
  BufferPtr snapshot = make_buffer(state.parameters->size() + state.statistics->size());
  std::memcpy(snapshot->data(), state.parameters->data(), state.parameters->size());
  std::memcpy(snapshot->data() + state.parameters->size(), state.statistics->data(),
              state.statistics->size());
  return snapshot;
}

Result<LayerState> from_snapshot(const LayerLayout& layout, const Buffer& snapshot) {
  if (static_cast<int64_t>(snapshot.size()) != layout.snapshot_bytes()) {
    return refused_error("a layer snapshot has %zu bytes where the model needs %lld",
                         snapshot.size(), static_cast<long long>(layout.snapshot_bytes()));
  }
  BufferPtr parameters = make_buffer(layout.parameter_bytes());
  BufferPtr statistics = make_buffer(layout.statistic_bytes());
  std::memcpy(parameters->data(), snapshot.data(), parameters->size());
  std::memcpy(statistics->data(), snapshot.data() + parameters->size(), statistics->size());
  return LayerState{parameters, statistics};
}

std::vector<ConstBufferPtr> values_of_states(const Model& model,
                                             const std::vector<LayerLayout>& layouts,
                                             const std::vector<LayerState>& states) {
  std::vector<ConstBufferPtr> values(model.values.size());
  const auto scatter = [&](const std::vector<ValueId>& ids, const std::vector<int64_t>& offsets,
                           const Buffer& source) {
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto bytes = static_cast<size_t>(model.value(ids[i]).type.bytes());
      BufferPtr copy = make_buffer(bytes);
      std::memcpy(copy->data(), source.data() + offsets[i] * 4, bytes);
      values[static_cast<size_t>(ids[i])] = std::move(copy);
    }
  };
  for (size_t layer = 0; layer < model.layers.size(); ++layer) {
    scatter(model.layers[layer].parameters, layouts[layer].parameter_offsets,
            *states[layer].parameters);
    scatter(model.layers[layer].statistics, layouts[layer].statistic_offsets,
            *states[layer].statistics);
  }
  return values;
}

std::string weights_sha256(const Model& model, const std::vector<ConstBufferPtr>& values) {
  std::vector<ValueId> ids;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != nullptr) ids.push_back(static_cast<ValueId>(i));
  }
  std::sort(ids.begin(), ids.end(),
            [&](ValueId a, ValueId b) { return model.value(a).name < model.value(b).name; });
  Sha256Stream stream;
  for (const ValueId id : ids) stream.update(values[static_cast<size_t>(id)]->bytes());
  return to_hex(stream.finish());
}

}  // namespace ft
