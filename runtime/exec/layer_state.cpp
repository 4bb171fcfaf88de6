#include "runtime/exec/layer_state.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

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

// Looks at the bits: no branch for each number, and no arithmetic that a compiler might assume
// away.
bool is_finite(std::span<const float> numbers) {
  uint32_t largest = 0;
  for (const float number : numbers) {
    largest = std::max(largest, std::bit_cast<uint32_t>(number) & 0x7FFFFFFFU);
  }
  return largest < 0x7F800000U;
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
  BufferPtr snapshot = make_buffer(layout.snapshot_bytes());
  std::memset(snapshot->data(), 0, snapshot->size());
  gather(model, layer_at(model, layer).parameters, snapshot->data());
  BufferPtr statistics = make_buffer(layout.statistic_bytes());
  gather(model, layer_at(model, layer).statistics, statistics->data());
  std::memcpy(snapshot->data() + layout.parameter_bytes(), statistics->data(), statistics->size());
  return {snapshot, statistics};
}

Result<LayerState> from_snapshot(const LayerLayout& layout, const ConstBufferPtr& snapshot) {
  if (static_cast<int64_t>(snapshot->size()) != layout.snapshot_bytes()) {
    return refused_error("a layer snapshot has %zu bytes where the model needs %lld",
                         snapshot->size(), static_cast<long long>(layout.snapshot_bytes()));
  }
  BufferPtr statistics = make_buffer(layout.statistic_bytes());
  std::memcpy(statistics->data(), snapshot->data() + layout.parameter_bytes(), statistics->size());
  return LayerState{snapshot, statistics};
}

Status check_finite(const Model& model, int layer, const LayerLayout& layout,
                    const Buffer& snapshot, int64_t version) {
  const std::span<const float> all(snapshot.floats(), snapshot.size() / 4);
  if (is_finite(all)) return Status();
  // Parameters, as many numbers for each optimizer slot, statistics.
  const auto first = static_cast<int64_t>(std::find_if(all.begin(), all.end(),
                                                       [](float number) {
                                                         return !is_finite({&number, 1});
                                                       }) -
                                          all.begin());
  const int64_t own = layout.parameter_count * (1 + layout.slot_count);
  const bool is_statistic = first >= own;
  const Layer& owner = layer_at(model, layer);
  const std::vector<ValueId>& ids = is_statistic ? owner.statistics : owner.parameters;
  const std::vector<int64_t>& offsets =
      is_statistic ? layout.statistic_offsets : layout.parameter_offsets;
  const int64_t at = is_statistic ? first - own : first % layout.parameter_count;
  const auto index = std::upper_bound(offsets.begin(), offsets.end(), at) - offsets.begin() - 1;
  const char* part = !is_statistic && first >= layout.parameter_count ? "the momentum of " : "";
  return failed_error(
      "after batch %lld the weights are not finite: %s'%s' holds %g; begin another run with a "
      "smaller --lr",
      static_cast<long long>(version + 1), part,
      model.value(ids[static_cast<size_t>(index)]).name.c_str(),
      static_cast<double>(all[static_cast<size_t>(first)]));
}

std::vector<ConstBufferPtr> values_of_states(const Model& model,
                                             const std::vector<LayerLayout>& layouts,
                                             const std::vector<LayerState>& states) {
  std::vector<ConstBufferPtr> values(model.values.size());
  const auto scatter = [&](const std::vector<ValueId>& ids, const std::vector<int64_t>& offsets,
                           const ConstBufferPtr& snapshot, int64_t first) {
    for (size_t i = 0; i < ids.size(); ++i) {
      values[static_cast<size_t>(ids[i])] =
          part_of(snapshot, static_cast<size_t>(first + offsets[i] * 4),
                  static_cast<size_t>(model.value(ids[i]).type.bytes()));
    }
  };
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const Layer& layer = model.layers[i];
    const LayerLayout& layout = layouts[i];
    scatter(layer.parameters, layout.parameter_offsets, states[i].snapshot, 0);
    scatter(layer.statistics, layout.statistic_offsets, states[i].snapshot,
            layout.parameter_bytes());
  }
  return values;
}

std::string weights_sha256(const Model& model, const std::vector<ConstBufferPtr>& values) {
  std::vector<std::pair<std::string, ConstBufferPtr>> weights;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != nullptr) weights.emplace_back(model.values[i].name, values[i]);
  }
  for (const Value& value : model.values) {
    if (value.is_frozen) weights.emplace_back(value.name, value.data);
  }
  std::sort(weights.begin(), weights.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  Sha256Stream stream;
  for (const auto& [name, bytes] : weights) stream.update(bytes->bytes());
  return to_hex(stream.finish());
}

}  // namespace ft
