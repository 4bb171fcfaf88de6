#include "runtime/exec/storage_plan.h"

#include <algorithm>
#include <numeric>

#include "runtime/base/buffer.h"

namespace ft {
namespace {

int64_t aligned(int64_t bytes) {
  const int64_t alignment = static_cast<int64_t>(kBufferAlignment);
  return (bytes + alignment - 1) / alignment * alignment;
}

template <typename T>
int32_t position_of(const std::vector<T>& list, T item) {
  const auto found = std::find(list.begin(), list.end(), item);
  return found == list.end() ? -1 : static_cast<int32_t>(found - list.begin());
}

}  // namespace

StoragePlan::StoragePlan(const Model& model, const std::vector<LayerLayout>& layouts,
                         bool has_stash, RangeProgram* program)
    : model_(model), layouts_(layouts), has_stash_(has_stash), program_(*program) {
  const LayerRange range = program_.range;
  node_first_ = model.layers[static_cast<size_t>(range.first)].node_first;
  node_count_ = model.layers[static_cast<size_t>(range.last - 1)].node_last - node_first_;
  group_.assign(model.values.size(), -1);
  last_consumer_.assign(model.values.size(), -1);
  value_saved_.assign(model.values.size(), false);
  writes_.assign(model.values.size(), 0);
}

Status StoragePlan::make_kernels() {
  for (int local = 0; local < node_count_; ++local) {
    const Node& n = node(local);
    const std::vector<OpInput> inputs = op_inputs(model_, n);
    OpRequest request;
    request.attributes = &n.attributes;
    request.inputs = inputs;
    request.output_count = static_cast<int>(n.outputs.size());
    request.opset = n.opset;
    request.mode = program_.mode;
    request.node = static_cast<uint32_t>(node_first_ + local);
    Result<KernelPlan> made = n.op->make(request);
    if (!made.ok()) {
      return invalid_error("node '%s' (%s, opset %d): %s", n.name.c_str(), n.op->name, n.opset,
                           made.status().message().c_str());
    }
    program_.flops += made->flops;
    program_.plans.push_back(std::move(*made));
  }
  return Status();
}

bool StoragePlan::is_output(ValueId id) const { return position_of(program_.outputs, id) >= 0; }

Location StoragePlan::state_location(ValueId id, Region region) const {
  for (int layer = program_.range.first; layer < program_.range.last; ++layer) {
    const Layer& candidate = model_.layers[static_cast<size_t>(layer)];
    const LayerLayout& layout = layouts_[static_cast<size_t>(layer)];
    const int32_t local = layer - program_.range.first;
    const int32_t parameter = position_of(candidate.parameters, id);
    if (parameter >= 0) {
      return {region, local, layout.parameter_offsets[static_cast<size_t>(parameter)] * 4};
    }
    const int32_t statistic = position_of(candidate.statistics, id);
    if (statistic >= 0) {
      return {region, local, layout.statistic_offsets[static_cast<size_t>(statistic)] * 4};
    }
  }
  return {};
}

Location StoragePlan::location(ValueId id) const {
  if (id == kNoValue || group_of(id) < 0) return {};
  return group(id).location;
}

Location StoragePlan::work(int64_t bytes, int first, int last) {
  if (bytes == 0) return {};
  work_.push_back({bytes, first, last});
  return {Region::kWork, static_cast<int32_t>(work_.size()) - 1, 0};
}

// For backward, from forward's step `first` on. Without a stash backward must say until when
// (extend_work).
Location StoragePlan::stash(int64_t bytes, int first, int last) {
  program_.kept_bytes += aligned(bytes);
  if (!has_stash_) return work(bytes, first, last);
  const Location location = {Region::kStash, 0, program_.stash_bytes};
  program_.stash_bytes += aligned(bytes);
  return location;
}

void StoragePlan::extend_work(const Location& location, int step) {
  if (location.region != Region::kWork) return;
  WorkBlock& block = work_[static_cast<size_t>(location.index)];
  block.last = std::max(block.last, step);
}

void StoragePlan::start_group(ValueId id, Region region, Location location) {
  Group fresh;
  fresh.region = region;
  fresh.location = location;
  fresh.bytes = model_.value(id).type.bytes();
  group_[static_cast<size_t>(id)] = static_cast<int32_t>(groups_.size());
  groups_.push_back(fresh);
  group_first_.push_back(0);
}

// Consumers in this range, and what backward will read.
void StoragePlan::note_uses() {
  for (int local = 0; local < node_count_; ++local) {
    const Node& n = node(local);
    const KernelPlan& kernel_plan = plan(local);
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      const ValueId id = n.inputs[i];
      if (id == kNoValue) continue;
      last_consumer_[static_cast<size_t>(id)] = local;
      if (program_.mode == Mode::kTrain && !kernel_plan.is_view &&
          (kernel_plan.saved_inputs >> i & 1U) != 0) {
        value_saved_[static_cast<size_t>(id)] = true;
      }
    }
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (n.outputs[i] != kNoValue && program_.mode == Mode::kTrain && !kernel_plan.is_view &&
          (kernel_plan.saved_outputs >> i & 1U) != 0) {
        value_saved_[static_cast<size_t>(n.outputs[i])] = true;
      }
    }
  }
}

// The output may take its input's storage when nobody reads the input afterwards: neither a later
// node, nor backward, nor the next stage.
bool StoragePlan::may_write_in_place(int local) const {
  const Node& n = node(local);
  if (!plan(local).in_place || n.inputs.empty() || n.outputs.empty()) return false;
  const ValueId input = n.inputs[0];
  const ValueId output = n.outputs[0];
  if (input == kNoValue || output == kNoValue) return false;
  // Not where it is read as another operand, too, itself or through a view.
  const auto shares = [&](ValueId id) { return id != kNoValue && group_of(id) == group_of(input); };
  if (std::count_if(n.inputs.begin(), n.inputs.end(), shares) != 1) return false;
  const Group& target = group(input);
  if (target.region != Region::kNone || target.crosses || target.saved) return false;
  return target.last_use <= local && target.bytes == model_.value(output).type.bytes();
}

// Puts the node's outputs into groups.
void StoragePlan::group_node(int local) {
  const Node& n = node(local);
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    const ValueId id = n.outputs[i];
    if (id == kNoValue) continue;
    const Value& value = model_.value(id);
    if (value.kind == ValueKind::kUpdate) {
      // Frozen or inference-mode statistics are not moved.
      const Location next = state_location(value.updates, Region::kNextStatistic);
      start_group(id, Region::kNextStatistic, next);
      continue;
    }
    const bool shares = i == 0 && (plan(local).is_view || may_write_in_place(local));
    if (shares) {
      group_[static_cast<size_t>(id)] = group_of(n.inputs[0]);
    } else {
      start_group(id, Region::kNone, {});
      group_first_.back() = local;
    }
    Group& target = group(id);
    if (!plan(local).is_view) target.writers.push_back(local);
    writes_[static_cast<size_t>(id)] = target.writers.size();
    target.last_use = std::max({target.last_use, local, last_consumer_[static_cast<size_t>(id)]});
    target.saved = target.saved || value_saved_[static_cast<size_t>(id)];
    target.crosses = target.crosses || is_output(id);
  }
}

// All that wrote it can do so again, from what is there in backward anyway: messages, states, and
// values that are kept. A value that a later result has taken the place of is not there, wherever
// it stood.
bool StoragePlan::may_recompute(int32_t index) const {
  for (const int local : groups_[static_cast<size_t>(index)].writers) {
    if (!plan(local).recomputes) return false;
    for (const ValueId id : node(local).inputs) {
      if (id == kNoValue || group_of(id) == index) continue;
      const Group& source = group(id);
      if (writes_[static_cast<size_t>(id)] != source.writers.size()) return false;
      FT_CHECK(source.region != Region::kNone || source.bytes == 0);  // see place_groups()
      if (source.region == Region::kWork && !source.kept) return false;
    }
  }
  return true;
}

std::vector<ForwardStep> StoragePlan::recompute(ValueId id, const Location& target, int step) {
  std::vector<ForwardStep> steps;
  for (const int local : group(id).writers) {
    const KernelPlan& kernel_plan = plan(local);
    ForwardStep again;
    again.kernel = kernel_plan.kernel.get();
    again.node = local;
    for (size_t i = 0; i < node(local).inputs.size(); ++i) {
      const ValueId input = node(local).inputs[i];
      const bool is_read = input != kNoValue && (kernel_plan.recompute_inputs >> i & 1U) != 0;
      const bool same = is_read && group_of(input) == group_of(id);
      again.inputs.push_back(same ? target : is_read ? location(input) : Location{});
      extend_work(again.inputs.back(), step);
    }
    again.outputs = {target};
    again.stash = stash_of(local);
    again.workspace = work(kernel_plan.forward_workspace_bytes, step, step);
    steps.push_back(std::move(again));
  }
  return steps;
}

// Groups that are not somewhere already: crossing ones get a Buffer, saved ones the stash, the rest
// work. In the order of their last writers, so that what a group can be made again of is placed
// before it.
void StoragePlan::place_groups() {
  std::vector<size_t> order(groups_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto last_writer = [&](size_t i) {
    return groups_[i].writers.empty() ? -1 : groups_[i].writers.back();
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return last_writer(a) < last_writer(b); });
  for (const size_t i : order) {
    Group& target = groups_[i];
    if (target.region != Region::kNone) continue;
    int32_t output = -1;
    for (size_t k = 0; k < program_.outputs.size() && output < 0; ++k) {
      if (group_of(program_.outputs[k]) == static_cast<int32_t>(i))
        output = static_cast<int32_t>(k);
    }
    if (output >= 0) {
      target.location = {Region::kOutput, output, 0};
    } else if (target.saved && !may_recompute(static_cast<int32_t>(i))) {
      target.kept = true;
      target.location = stash(target.bytes, group_first_[i], target.last_use);
    } else {
      target.recomputed = target.saved;
      target.location = work(target.bytes, group_first_[i], target.last_use);
    }
    target.region = target.location.region;
  }
}

void StoragePlan::plan_forward() {
  note_uses();
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    start_group(program_.inputs[i], Region::kInput, {Region::kInput, static_cast<int32_t>(i), 0});
  }
  for (int local = 0; local < node_count_; ++local) {
    for (const ValueId id : node(local).inputs) {
      if (id == kNoValue || group_of(id) >= 0) continue;
      const ValueKind kind = model_.value(id).kind;
      if (kind == ValueKind::kConstant) {
        start_group(id, Region::kConstant, {Region::kConstant, id, 0});
      } else if (kind == ValueKind::kParameter) {
        start_group(id, Region::kParameter, state_location(id, Region::kParameter));
      } else if (kind == ValueKind::kStatistic) {
        start_group(id, Region::kStatistic, state_location(id, Region::kStatistic));
      }
      FT_CHECK(group_of(id) >= 0);
    }
    group_node(local);
  }
  place_groups();

  stashes_.resize(static_cast<size_t>(node_count_));
  for (int local = 0; local < node_count_; ++local) {
    const KernelPlan& kernel_plan = plan(local);
    if (kernel_plan.is_view) continue;
    ForwardStep step;
    step.kernel = kernel_plan.kernel.get();
    step.node = local;
    for (const ValueId id : node(local).inputs) step.inputs.push_back(location(id));
    for (const ValueId id : node(local).outputs) step.outputs.push_back(location(id));
    step.workspace = work(kernel_plan.forward_workspace_bytes, local, local);
    if (kernel_plan.stash_bytes > 0 && program_.mode == Mode::kTrain) {
      step.stash = stash(kernel_plan.stash_bytes, local, local);
    } else if (kernel_plan.stash_bytes > 0) {
      step.stash = work(kernel_plan.stash_bytes, local, local);
    }
    stashes_[static_cast<size_t>(local)] = step.stash;
    program_.forward.push_back(std::move(step));
  }

  // Outputs whose bytes live elsewhere: a tied parameter, a view of an input or of another output.
  program_.passed_outputs.assign(program_.outputs.size(), -1);
  for (size_t i = 0; i < program_.outputs.size(); ++i) {
    const ValueId id = program_.outputs[i];
    program_.passed_outputs[i] = position_of(program_.inputs, id);
    if (program_.passed_outputs[i] >= 0) continue;
    FT_CHECK(group_of(id) >= 0);
    const Location source = location(id);
    if (source.region == Region::kOutput && source.index == static_cast<int32_t>(i)) continue;
    program_.forward_copies.push_back(
        {source, {Region::kOutput, static_cast<int32_t>(i), 0}, model_.value(id).type.bytes()});
  }
}

void StoragePlan::resolve(Location* location, const ArenaPlanner& arena) const {
  if (location->region == Region::kWork) {
    location->offset += arena.offset(location->index);
    location->index = 0;
  }
}

void StoragePlan::place_work() {
  ArenaPlanner arena;
  for (const WorkBlock& block : work_) arena.request(block.bytes, block.first, block.last);
  arena.place();
  program_.work_bytes = arena.total_bytes();
  const auto resolve_all = [&](std::vector<Location>& list) {
    for (Location& location : list) resolve(&location, arena);
  };
  const auto resolve_copies = [&](std::vector<CopyStep>& copies) {
    for (CopyStep& copy : copies) {
      resolve(&copy.source, arena);
      resolve(&copy.target, arena);
    }
  };
  const auto resolve_forward = [&](ForwardStep& step) {
    resolve_all(step.inputs);
    resolve_all(step.outputs);
    resolve(&step.stash, arena);
    resolve(&step.workspace, arena);
  };
  for (ForwardStep& step : program_.forward) resolve_forward(step);
  resolve_copies(program_.forward_copies);
  const auto resolve_backward = [&](BackwardStep& step) {
    for (ForwardStep& again : step.recomputes) resolve_forward(again);
    resolve_all(step.inputs);
    resolve_all(step.outputs);
    resolve_all(step.grad_outputs);
    resolve_all(step.grad_inputs);
    resolve(&step.stash, arena);
    resolve(&step.workspace, arena);
    resolve_copies(step.copies);
    for (LayerGradient& gradient : step.finished) resolve(&gradient.location, arena);
    for (AddStep& addition : step.additions) {
      resolve(&addition.a, arena);
      resolve(&addition.b, arena);
      resolve(&addition.target, arena);
    }
  };
  for (BackwardStep& step : program_.backward) resolve_backward(step);
  for (BackwardStep& step : program_.deferred) resolve_backward(step);
}

}  // namespace ft
