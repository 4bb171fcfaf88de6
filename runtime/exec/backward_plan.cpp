#include <algorithm>
#include <map>

#include "runtime/exec/storage_plan.h"

namespace ft {
namespace {

// Where the gradient of a value stands while backward is planned.
struct Gradient {
  Location location;      // kNone: nothing has contributed yet
  bool writable = false;  // false: received from the next stage, or shared with its message
};

class BackwardPlanner {
 public:
  BackwardPlanner(const Model& model, const BackwardOptions& options, StoragePlan* storage,
                  RangeProgram* program)
      : model_(model),
        options_(options),
        storage_(*storage),
        program_(*program),
        gradients_(model.values.size()),
        layers_(static_cast<size_t>(program->range.count())) {}

  void run() {
    for (size_t i = 0; i < program_.received_gradients.size(); ++i) {
      gradient(program_.received_gradients[i]).location = {Region::kReceivedGradient,
                                                           static_cast<int32_t>(i), 0};
    }
    count_contributions();
    for (int local = storage_.node_count() - 1; local >= 0; --local) plan_node(local);
    finish_sent();
    finish_parameters();
    finish_layers();
  }

 private:
  Gradient& gradient(ValueId id) { return gradients_[static_cast<size_t>(id)]; }
  int64_t bytes(ValueId id) const { return model_.value(id).type.bytes(); }
  // Backward of local node n is step 2 * count - 1 - n of the timeline that forward began.
  int step_of(int local) const { return 2 * storage_.node_count() - 1 - local; }
  int producer_step(ValueId id) const {
    const int local = model_.value(id).producer - storage_.node_first();
    return step_of(std::max(local, 0));
  }
  bool wants_gradient(ValueId id) const {
    return id != kNoValue && model_.value(id).needs_gradient;
  }
  int32_t sent_index(ValueId id) const {
    const auto& sent = program_.sent_gradients;
    const auto found = std::find(sent.begin(), sent.end(), id);
    return found == sent.end() ? -1 : static_cast<int32_t>(found - sent.begin());
  }

  // How many node inputs of this range will add to each value's gradient.
  void count_contributions() {
    contributions_.assign(model_.values.size(), 0);
    for (int local = 0; local < storage_.node_count(); ++local) {
      for (const ValueId id : storage_.node(local).inputs) {
        if (wants_gradient(id)) ++contributions_[static_cast<size_t>(id)];
      }
    }
  }

  // The place where a value's gradient is built up: it is sent, belongs to a parameter, or lives
  // from now until the producer's backward has read it.
  Location home(ValueId id, int step) {
    const int32_t sent = sent_index(id);
    if (sent >= 0) return {Region::kSentGradient, sent, 0};
    if (model_.value(id).kind == ValueKind::kParameter) {
      return parameter_home(id, step);
    }
    return storage_.work(bytes(id), step, std::max(step, producer_step(id)));
  }

  // A layer's gradients are one block, from the first step that adds to one of them.
  Location parameter_home(ValueId id, int step) {
    const Location at = storage_.state_location(id, Region::kParameterGradient);
    if (!options_.steps_by_layer) return at;
    LayerBlock& layer = layers_[static_cast<size_t>(at.index)];
    if (layer.location.region == Region::kNone) {
      layer.location = storage_.work(storage_.layout(at.index).parameter_count * 4, step, step);
    }
    return {layer.location.region, layer.location.index, at.offset};
  }

  // The step to be added next, at `step` of the timeline, adds to the gradient of `id`.
  void note_addition(ValueId id, int step) {
    if (!options_.steps_by_layer || model_.value(id).kind != ValueKind::kParameter) return;
    const Location at = storage_.state_location(id, Region::kParameterGradient);
    LayerBlock& layer = layers_[static_cast<size_t>(at.index)];
    storage_.extend_work(layer.location, step);
    layer.last_step = program_.backward.size();
  }

  void finish_layers() {
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (layers_[i].location.region == Region::kNone) continue;
      program_.backward[layers_[i].last_step].finished.push_back(
          {static_cast<int32_t>(i), layers_[i].location});
    }
  }

  // A value whose only gradient is the one of this node's output may take over its storage.
  bool may_share(ValueId id) {
    return contributions_[static_cast<size_t>(id)] == 1 &&
           gradient(id).location.region == Region::kNone && sent_index(id) < 0 &&
           model_.value(id).kind == ValueKind::kActivation;
  }

  // Adds `source` to the gradient of `id`, or copies it there when it is the first.
  void contribute(ValueId id, const Location& source, int step, BackwardStep* backward) {
    Gradient& target = gradient(id);
    if (target.location.region == Region::kNone) {
      target = {home(id, step), true};
      backward->copies.push_back({source, target.location, bytes(id)});
      return;
    }
    const Location sum = target.writable ? target.location : home(id, step);
    backward->additions.push_back({target.location, source, sum, bytes(id) / 4});
    target = {sum, true};
  }

  void plan_view(int local, const Gradient& grad_output) {
    const ValueId input = storage_.node(local).inputs[0];
    if (!wants_gradient(input)) return;
    if (may_share(input)) {
      gradient(input) = grad_output;
      storage_.extend_work(grad_output.location, producer_step(input));
      return;
    }
    BackwardStep backward;
    contribute(input, grad_output.location, step_of(local), &backward);
    note_addition(input, step_of(local));
    program_.backward.push_back(std::move(backward));
  }

  void plan_node(int local) {
    const Node& node = storage_.node(local);
    if (node.outputs.empty() || node.outputs[0] == kNoValue) return;
    const Gradient grad_output = gradient(node.outputs[0]);
    const bool wanted = std::any_of(node.inputs.begin(), node.inputs.end(),
                                    [this](ValueId id) { return wants_gradient(id); });
    if (grad_output.location.region == Region::kNone || !wanted) return;
    const KernelPlan& plan = storage_.plan(local);
    if (plan.is_view) {
      plan_view(local, grad_output);
      return;
    }
    const int step = step_of(local);
    BackwardStep backward;
    backward.kernel = plan.kernel.get();
    backward.node = local;
    add_saved(local, step, &recomputed_, &backward);
    for (const ValueId id : node.outputs) {
      backward.grad_outputs.push_back(id == kNoValue ? Location{} : gradient(id).location);
    }
    backward.workspace = storage_.work(plan.backward_workspace_bytes, step, step);
    backward.grad_inputs.resize(node.inputs.size());
    // From the last operand to the first, as from the last consumer to the first.
    for (size_t i = node.inputs.size(); i-- > 0;) {
      const ValueId id = node.inputs[i];
      if (!wants_gradient(id)) continue;
      Location& target = backward.grad_inputs[i];
      if (gradient(id).location.region == Region::kNone) {
        const bool in_place = i == 0 && plan.in_place && grad_output.writable &&
                              grad_output.location.region == Region::kWork && may_share(id) &&
                              bytes(id) == bytes(node.outputs[0]);
        target = in_place ? grad_output.location : home(id, step);
        if (in_place) storage_.extend_work(target, producer_step(id));
        gradient(id) = {target, true};
      } else {
        target = storage_.work(bytes(id), step, step);
        contribute(id, target, step, &backward);
      }
      note_addition(id, step);
    }
    if (may_defer(node, plan)) defer(node, plan, grad_output, &backward);
    program_.backward.push_back(std::move(backward));
  }

  // Input 0 is a value whose gradient somebody waits for, the others are parameters that nobody
  // else uses here: the order in which contributions are added does not change.
  bool may_defer(const Node& node, const KernelPlan& plan) const {
    if (!options_.defers || !plan.splits_backward || !wants_gradient(node.inputs[0])) return false;
    if (model_.value(node.inputs[0]).kind != ValueKind::kActivation) return false;
    bool any = false;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (!wants_gradient(id)) continue;
      const bool own = model_.value(id).kind == ValueKind::kParameter &&
                       contributions_[static_cast<size_t>(id)] == 1 && sent_index(id) < 0 &&
                       std::count(program_.received_gradients.begin(),
                                  program_.received_gradients.end(), id) == 0;
      if (!own) return false;
      any = true;
    }
    return any;
  }

  // Takes the parameters' gradients out of the step, into one behind all others. What it reads must
  // live as long: the gradient of the output; stashes and inputs do.
  void defer(const Node& node, const KernelPlan& plan, const Gradient& grad_output,
             BackwardStep* backward) {
    const int step = 2 * storage_.node_count() + static_cast<int>(program_.deferred.size());
    storage_.extend_work(grad_output.location, step);
    BackwardStep later = *backward;
    later.copies.clear();
    later.additions.clear();
    later.recomputes.clear();
    Recomputed recomputed;  // until now would be too long: made once more
    add_saved(backward->node, step, &recomputed, &later);
    later.grad_inputs[0] = Location{};
    later.workspace = storage_.work(plan.backward_workspace_bytes, step, step);
    for (size_t i = 1; i < node.inputs.size(); ++i) backward->grad_inputs[i] = Location{};
    program_.deferred.push_back(std::move(later));
  }

  // Where the forward values stand that were made again so far, by their place in forward.
  using Recomputed = std::map<int32_t, Location>;

  // Where backward at `step` finds a saved value: where forward left it, or made again.
  Location saved(ValueId id, int step, Recomputed* recomputed, BackwardStep* backward) {
    const Location kept = storage_.location(id);
    if (!storage_.is_recomputed(id)) {
      storage_.extend_work(kept, step);
      return kept;
    }
    const auto [entry, is_new] = recomputed->try_emplace(kept.index);
    if (is_new) {
      entry->second = storage_.work(bytes(id), step, step);
      for (ForwardStep& again : storage_.recompute(id, entry->second, step)) {
        backward->recomputes.push_back(std::move(again));
      }
    }
    storage_.extend_work(entry->second, step);
    return entry->second;
  }

  void add_saved(int local, int step, Recomputed* recomputed, BackwardStep* backward) {
    const Node& node = storage_.node(local);
    const KernelPlan& plan = storage_.plan(local);
    backward->inputs.assign(node.inputs.size(), {});
    backward->outputs.assign(node.outputs.size(), {});
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if ((plan.saved_inputs >> i & 1U) == 0) continue;
      backward->inputs[i] = saved(node.inputs[i], step, recomputed, backward);
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if ((plan.saved_outputs >> i & 1U) == 0) continue;
      backward->outputs[i] = saved(node.outputs[i], step, recomputed, backward);
    }
    backward->stash = storage_.stash_of(local);
    storage_.extend_work(backward->stash, step);
  }

  // A tensor that only passes through sends the very gradient it received.
  void finish_sent() {
    program_.passed_gradients.assign(program_.sent_gradients.size(), -1);
    for (size_t i = 0; i < program_.sent_gradients.size(); ++i) {
      const Location location = gradient(program_.sent_gradients[i]).location;
      if (location.region == Region::kReceivedGradient) {
        program_.passed_gradients[i] = location.index;
      } else if (location.region == Region::kNone) {
        program_.empty_sent.push_back(static_cast<int32_t>(i));
      }
    }
  }

  void finish_parameters() {
    for (int layer = program_.range.first; layer < program_.range.last; ++layer) {
      for (const ValueId id : model_.layers[static_cast<size_t>(layer)].parameters) {
        const Location at = storage_.state_location(id, Region::kParameterGradient);
        const Location location = gradient(id).location;
        if (location.region == Region::kReceivedGradient) {
          BackwardStep backward;
          backward.copies.push_back({location, at, bytes(id)});
          program_.backward.push_back(std::move(backward));
        } else if (location.region == Region::kNone) {
          program_.unused_gradients.push_back(at);
          program_.unused_gradient_bytes.push_back(bytes(id));
        }
      }
    }
  }

  const Model& model_;
  const BackwardOptions options_;
  StoragePlan& storage_;
  RangeProgram& program_;
  std::vector<Gradient> gradients_;  // by ValueId
  std::vector<int> contributions_;   // by ValueId
  Recomputed recomputed_;
  struct LayerBlock {
    Location location;     // kNone: no gradient yet
    size_t last_step = 0;  // in program.backward, that adds to one
  };
  std::vector<LayerBlock> layers_;  // by layer of the range; only when stepping by layer
};

}  // namespace

void plan_backward(const Model& model, const BackwardOptions& options, StoragePlan* storage,
                   RangeProgram* program) {
  BackwardPlanner(model, options, storage, program).run();
}

}  // namespace ft
