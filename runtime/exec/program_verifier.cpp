#include "runtime/exec/program_verifier.h"

#include <algorithm>

#include "runtime/exec/gradient_terms.h"
#include "runtime/exec/symbolic_memory.h"

namespace ft {
namespace {

// What one step touches, to find what it would overwrite while it still reads it.
struct Touched {
  std::vector<Span> reads;
  std::vector<Span> writes;
  // A read and a write that may be the same bytes, as indices: the kernel works in place.
  size_t shared_read = SIZE_MAX;
  size_t shared_write = SIZE_MAX;
};

class Verifier {
 public:
  Verifier(const Model& model, const std::vector<LayerLayout>& layouts, const RangeProgram& program,
           const BackwardOptions& options)
      : model_(model),
        layouts_(layouts),
        program_(program),
        options_(options),
        node_first_(model.layers[static_cast<size_t>(program.range.first)].node_first),
        node_count_(static_cast<int>(program.plans.size())),
        terms_(model, program.range, views(program), program.received_gradients),
        is_finished_(static_cast<size_t>(program.range.count()), false) {}

  Status run() {
    find_bases();
    fill_given();
    FT_RETURN_IF_ERROR(check_forward());
    if (program_.mode != Mode::kTrain) return Status();
    begin_backward();
    for (const BackwardStep& step : program_.backward) FT_RETURN_IF_ERROR(check_backward(step));
    FT_RETURN_IF_ERROR(check_sent());
    for (const BackwardStep& step : program_.deferred) FT_RETURN_IF_ERROR(check_backward(step));
    return check_parameters();
  }

 private:
  static std::vector<bool> views(const RangeProgram& program) {
    std::vector<bool> list;
    for (const KernelPlan& plan : program.plans) list.push_back(plan.is_view);
    return list;
  }
  const Node& node(int local) const {
    return model_.nodes[static_cast<size_t>(node_first_ + local)];
  }
  const KernelPlan& plan(int local) const { return program_.plans[static_cast<size_t>(local)]; }
  Span span_of(ValueId id, const Location& at) const { return {at, model_.value(id).type.bytes()}; }

  // ---- Contents ----

  Content value_content(ValueId id) const { return base_[static_cast<size_t>(id)]; }
  Content stash_content(int local) const {
    return static_cast<Content>(model_.values.size()) + local;
  }
  Content gradient_content(Term term) const {
    return static_cast<Content>(model_.values.size()) + node_count_ + term;
  }
  // kNoTerm when what stands there is no gradient.
  Term gradient_at(const Span& span) const {
    const Content content = memory_.read(span);
    const Content first = gradient_content(0);
    return content < first ? kNoTerm : content - first;
  }

  void find_bases();
  void fill_given();
  void begin_backward();

  // ---- Steps ----

  Status read(const Span& span, Content expected, Touched* touched) const;
  Status check_overlaps(const Touched& touched) const;
  Status write(const Span& span, Content content, Touched* touched);

  // Messages name the node of the step.
  Status of_node(int local, const Status& status) const;

  Status check_forward();
  Status check_forward_step(const ForwardStep& step, bool again);
  Status read_inputs(const ForwardStep& step, bool again, Touched* touched) const;
  Status write_outputs(const ForwardStep& step, Touched* touched);
  Status check_outputs() const;
  Status check_backward(const BackwardStep& step);
  Status check_kernel(const BackwardStep& step);
  Status read_saved(const BackwardStep& step, Touched* touched) const;
  Status read_gradients(const BackwardStep& step, Touched* touched) const;
  Status check_sums(const BackwardStep& step);
  Status check_sent() const;
  Status check_parameters() const;
  Status check_layer(int layer, const Location& at) const;
  bool is_unused(const Location& at) const;

  const Model& model_;
  const std::vector<LayerLayout>& layouts_;
  const RangeProgram& program_;
  const BackwardOptions& options_;
  const int32_t node_first_;
  const int node_count_;
  GradientTerms terms_;
  std::vector<bool> is_finished_;  // by layer of the range: it was stepped
  SymbolicMemory memory_;
  std::vector<ValueId> base_;  // by ValueId: the value whose bytes it has, its own or viewed ones
};

void Verifier::find_bases() {
  for (size_t i = 0; i < model_.values.size(); ++i) base_.push_back(static_cast<ValueId>(i));
  for (int local = 0; local < node_count_; ++local) {
    const Node& at = node(local);
    if (!plan(local).is_view) continue;
    base_[static_cast<size_t>(at.outputs[0])] = base_[static_cast<size_t>(at.inputs[0])];
  }
}

// What is there before forward begins.
void Verifier::fill_given() {
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    const ValueId id = program_.inputs[i];
    memory_.write(span_of(id, {Region::kInput, static_cast<int32_t>(i), 0}), value_content(id));
  }
  for (int layer = program_.range.first; layer < program_.range.last; ++layer) {
    const Layer& owner = model_.layers[static_cast<size_t>(layer)];
    const LayerLayout& layout = layouts_[static_cast<size_t>(layer)];
    const int32_t index = layer - program_.range.first;
    for (size_t i = 0; i < owner.parameters.size(); ++i) {
      const ValueId id = owner.parameters[i];
      memory_.write(span_of(id, {Region::kParameter, index, layout.parameter_offsets[i] * 4}),
                    value_content(id));
    }
    for (size_t i = 0; i < owner.statistics.size(); ++i) {
      const ValueId id = owner.statistics[i];
      memory_.write(span_of(id, {Region::kStatistic, index, layout.statistic_offsets[i] * 4}),
                    value_content(id));
    }
  }
  for (int local = 0; local < node_count_; ++local) {
    for (const ValueId id : node(local).inputs) {
      if (id == kNoValue || model_.value(id).kind != ValueKind::kConstant) continue;
      memory_.write(span_of(id, {Region::kConstant, id, 0}), value_content(id));
    }
  }
}

// Other micro-batches have run since, unless there is one in flight only, and moved the statistics.
void Verifier::begin_backward() {
  if (!options_.one_in_flight) memory_.forget(Region::kWork);
  memory_.forget(Region::kStatistic);
  memory_.forget(Region::kNextStatistic);
  for (size_t i = 0; i < program_.received_gradients.size(); ++i) {
    const ValueId id = program_.received_gradients[i];
    memory_.write(span_of(id, {Region::kReceivedGradient, static_cast<int32_t>(i), 0}),
                  gradient_content(terms_.received(id)));
  }
}

Status Verifier::read(const Span& span, Content expected, Touched* touched) const {
  if (span.bytes == 0) return Status();
  touched->reads.push_back(span);
  if (span.at.region != Region::kNone && memory_.read(span) == expected) return Status();
  return failed_error("something else stands where it reads");
}

// Nothing that a step writes may lie in what it reads or writes elsewhere.
Status Verifier::check_overlaps(const Touched& touched) const {
  for (size_t i = 0; i < touched.writes.size(); ++i) {
    const Span& written = touched.writes[i];
    for (size_t k = 0; k < touched.reads.size(); ++k) {
      const bool is_shared =
          i == touched.shared_write && k == touched.shared_read && written == touched.reads[k];
      if (!is_shared && written.overlaps(touched.reads[k])) {
        return failed_error("it overwrites what it reads");
      }
    }
    for (size_t k = i + 1; k < touched.writes.size(); ++k) {
      if (written.overlaps(touched.writes[k])) return failed_error("two of its results overlap");
    }
  }
  return Status();
}

Status Verifier::write(const Span& span, Content content, Touched* touched) {
  if (span.bytes == 0) return Status();
  const Location& at = span.at;
  const bool in_work = at.region == Region::kWork && at.offset + span.bytes <= program_.work_bytes;
  const bool in_stash =
      at.region == Region::kStash && at.offset + span.bytes <= program_.stash_bytes;
  const bool elsewhere = at.region == Region::kOutput || at.region == Region::kNextStatistic ||
                         at.region == Region::kParameterGradient ||
                         at.region == Region::kSentGradient;
  if (at.offset < 0 || !(in_work || in_stash || elsewhere)) {
    return failed_error("it writes where nothing may be written");
  }
  touched->writes.push_back(span);
  memory_.write(span, content);
  return Status();
}

Status Verifier::of_node(int local, const Status& status) const {
  if (status.ok()) return status;
  const Node& at = node(local);
  return failed_error("node '%s' (%s): %s", at.name.c_str(), at.op->name, status.message().c_str());
}

// ---- Forward ----

Status Verifier::check_forward() {
  size_t next = 0;
  for (int local = 0; local < node_count_; ++local) {
    if (plan(local).is_view) continue;
    const bool is_next = next < program_.forward.size() && program_.forward[next].node == local;
    if (!is_next) return of_node(local, failed_error("its forward step is missing"));
    FT_RETURN_IF_ERROR(of_node(local, check_forward_step(program_.forward[next], false)));
    ++next;
  }
  if (next != program_.forward.size()) return failed_error("forward has more steps than nodes");
  for (const CopyStep& copy : program_.forward_copies) {
    Touched touched;
    const Content content = memory_.read({copy.source, copy.bytes});
    FT_RETURN_IF_ERROR(write({copy.target, copy.bytes}, content, &touched));
  }
  return check_outputs();
}

// `again`: recomputation in backward, where the private stash is read and output 0 alone made.
Status Verifier::check_forward_step(const ForwardStep& step, bool again) {
  const KernelPlan& kernel_plan = plan(step.node);
  if (step.kernel != kernel_plan.kernel.get()) return failed_error("it has another node's kernel");
  Touched touched;
  FT_RETURN_IF_ERROR(
      write({step.workspace, kernel_plan.forward_workspace_bytes}, kNoContent, &touched));
  const Span stash = {step.stash, kernel_plan.stash_bytes};
  if (!again) FT_RETURN_IF_ERROR(write(stash, stash_content(step.node), &touched));
  FT_RETURN_IF_ERROR(read_inputs(step, again, &touched));
  if (again) FT_RETURN_IF_ERROR(read(stash, stash_content(step.node), &touched));
  touched.shared_write = kernel_plan.in_place ? touched.writes.size() : SIZE_MAX;
  touched.shared_read = 0;
  FT_RETURN_IF_ERROR(write_outputs(step, &touched));
  return check_overlaps(touched);
}

Status Verifier::read_inputs(const ForwardStep& step, bool again, Touched* touched) const {
  const KernelPlan& kernel_plan = plan(step.node);
  const std::vector<ValueId>& inputs = node(step.node).inputs;
  if (step.inputs.size() != inputs.size()) return failed_error("operands are missing");
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == kNoValue) continue;
    if (again && (kernel_plan.recompute_inputs >> i & 1U) == 0) continue;
    const Status found =
        read(span_of(inputs[i], step.inputs[i]), value_content(inputs[i]), touched);
    if (!found.ok()) {
      return failed_error("%s '%s'%s", found.message().c_str(),
                          model_.value(inputs[i]).name.c_str(),
                          again ? " to make its output again" : "");
    }
  }
  return Status();
}

Status Verifier::write_outputs(const ForwardStep& step, Touched* touched) {
  const std::vector<ValueId>& outputs = node(step.node).outputs;
  for (size_t i = 0; i < step.outputs.size() && i < outputs.size(); ++i) {
    if (outputs[i] == kNoValue) continue;
    FT_RETURN_IF_ERROR(
        write(span_of(outputs[i], step.outputs[i]), value_content(outputs[i]), touched));
  }
  return Status();
}

// What crosses the end, and the statistics that moved.
Status Verifier::check_outputs() const {
  Touched touched;
  for (size_t i = 0; i < program_.outputs.size(); ++i) {
    const ValueId id = program_.outputs[i];
    const int32_t passed = program_.passed_outputs[i];
    const Span span = passed >= 0 ? span_of(id, {Region::kInput, passed, 0})
                                  : span_of(id, {Region::kOutput, static_cast<int32_t>(i), 0});
    const Status found = read(span, value_content(id), &touched);
    if (!found.ok()) {
      return failed_error("'%s' does not reach the end of the range",
                          model_.value(id).name.c_str());
    }
  }
  for (int layer = program_.range.first; layer < program_.range.last; ++layer) {
    const Layer& owner = model_.layers[static_cast<size_t>(layer)];
    const LayerLayout& layout = layouts_[static_cast<size_t>(layer)];
    for (int32_t index = owner.node_first; index < owner.node_last; ++index) {
      for (const ValueId id : model_.nodes[static_cast<size_t>(index)].outputs) {
        if (id == kNoValue || model_.value(id).kind != ValueKind::kUpdate) continue;
        const auto& statistics = owner.statistics;
        const auto at = std::find(statistics.begin(), statistics.end(), model_.value(id).updates);
        FT_CHECK(at != statistics.end());
        const int64_t offset =
            layout.statistic_offsets[static_cast<size_t>(at - statistics.begin())] * 4;
        const Location place = {Region::kNextStatistic, layer - program_.range.first, offset};
        const Status found = read(span_of(id, place), value_content(id), &touched);
        if (!found.ok()) {
          return failed_error("'%s' is not moved", model_.value(id).name.c_str());
        }
      }
    }
  }
  return Status();
}

// ---- Backward ----

Status Verifier::check_backward(const BackwardStep& step) {
  for (const ForwardStep& again : step.recomputes) {
    if (!plan(again.node).recomputes) return failed_error("a kernel cannot make its output again");
    FT_RETURN_IF_ERROR(of_node(again.node, check_forward_step(again, true)));
  }
  if (step.kernel != nullptr) FT_RETURN_IF_ERROR(of_node(step.node, check_kernel(step)));
  FT_RETURN_IF_ERROR(step.kernel == nullptr ? check_sums(step)
                                            : of_node(step.node, check_sums(step)));
  for (const LayerGradient& gradient : step.finished) {
    FT_RETURN_IF_ERROR(check_layer(gradient.layer, gradient.location));
    if (is_finished_[static_cast<size_t>(gradient.layer)]) {
      return failed_error("layer %d is stepped twice", gradient.layer);
    }
    is_finished_[static_cast<size_t>(gradient.layer)] = true;
  }
  return Status();
}

Status Verifier::check_kernel(const BackwardStep& step) {
  const KernelPlan& kernel_plan = plan(step.node);
  if (step.kernel != kernel_plan.kernel.get()) return failed_error("it has another node's kernel");
  Touched touched;
  FT_RETURN_IF_ERROR(
      write({step.workspace, kernel_plan.backward_workspace_bytes}, kNoContent, &touched));
  touched.shared_read = 0;
  FT_RETURN_IF_ERROR(read_gradients(step, &touched));
  FT_RETURN_IF_ERROR(read_saved(step, &touched));
  const std::vector<ValueId>& inputs = node(step.node).inputs;
  for (size_t i = 0; i < step.grad_inputs.size(); ++i) {
    const Location& at = step.grad_inputs[i];
    if (at.region == Region::kNone) continue;
    if (i == 0 && kernel_plan.in_place) touched.shared_write = touched.writes.size();
    FT_RETURN_IF_ERROR(write(span_of(inputs[i], at),
                             gradient_content(terms_.contribution(step.node, i)), &touched));
  }
  return check_overlaps(touched);
}

Status Verifier::read_gradients(const BackwardStep& step, Touched* touched) const {
  const std::vector<ValueId>& outputs = node(step.node).outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kNoValue || terms_.whole(outputs[i]) == kNoTerm) continue;
    const Content expected = gradient_content(terms_.whole(outputs[i]));
    const Location at = i < step.grad_outputs.size() ? step.grad_outputs[i] : Location{};
    if (!read(span_of(outputs[i], at), expected, touched).ok()) {
      return failed_error("the gradient of '%s' that it reads is not whole",
                          model_.value(outputs[i]).name.c_str());
    }
  }
  return Status();
}

Status Verifier::read_saved(const BackwardStep& step, Touched* touched) const {
  const KernelPlan& kernel_plan = plan(step.node);
  const auto read_list = [&](const std::vector<ValueId>& ids, const std::vector<Location>& places,
                             uint32_t mask) {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] == kNoValue || (mask >> i & 1U) == 0) continue;
      const Location at = i < places.size() ? places[i] : Location{};
      const Status found = read(span_of(ids[i], at), value_content(ids[i]), touched);
      if (!found.ok()) {
        return failed_error("%s '%s' for its gradient", found.message().c_str(),
                            model_.value(ids[i]).name.c_str());
      }
    }
    return Status();
  };
  const Node& at = node(step.node);
  FT_RETURN_IF_ERROR(read_list(at.inputs, step.inputs, kernel_plan.saved_inputs));
  FT_RETURN_IF_ERROR(read_list(at.outputs, step.outputs, kernel_plan.saved_outputs));
  return read({step.stash, kernel_plan.stash_bytes}, stash_content(step.node), touched);
}

Status Verifier::check_sums(const BackwardStep& step) {
  for (const CopyStep& copy : step.copies) {
    Touched touched;
    const Term term = gradient_at({copy.source, copy.bytes});
    if (term == kNoTerm) return failed_error("what it copies is no gradient");
    FT_RETURN_IF_ERROR(write({copy.target, copy.bytes}, gradient_content(term), &touched));
  }
  for (const AddStep& addition : step.additions) {
    const int64_t bytes = addition.elements * 4;
    const Term a = gradient_at({addition.a, bytes});
    const Term b = gradient_at({addition.b, bytes});
    if (a == kNoTerm || b == kNoTerm) return failed_error("what it adds is no gradient");
    Touched touched;
    touched.reads = {{addition.a, bytes}, {addition.b, bytes}};
    touched.shared_read = touched.shared_write = 0;
    FT_RETURN_IF_ERROR(
        write({addition.target, bytes}, gradient_content(terms_.sum(a, b)), &touched));
    FT_RETURN_IF_ERROR(check_overlaps(touched));
  }
  return Status();
}

Status Verifier::check_sent() const {
  for (size_t i = 0; i < program_.sent_gradients.size(); ++i) {
    const ValueId id = program_.sent_gradients[i];
    const auto index = static_cast<int32_t>(i);
    const int32_t passed = program_.passed_gradients[i];
    const auto& empty = program_.empty_sent;
    const Term whole = terms_.whole(id);
    Touched touched;
    const Span span = passed >= 0 ? span_of(id, {Region::kReceivedGradient, passed, 0})
                                  : span_of(id, {Region::kSentGradient, index, 0});
    const bool found = whole == kNoTerm ? std::count(empty.begin(), empty.end(), index) == 1
                                        : read(span, gradient_content(whole), &touched).ok();
    if (!found) {
      return failed_error("the gradient of '%s' that is sent is not whole",
                          model_.value(id).name.c_str());
    }
  }
  return Status();
}

bool Verifier::is_unused(const Location& at) const {
  return std::any_of(program_.unused_gradients.begin(), program_.unused_gradients.end(),
                     [&](const Location& unused) {
                       return unused.region == at.region && unused.index == at.index &&
                              unused.offset == at.offset;
                     });
}

// All gradients of the layer's parameters, whose block is at `at`.
Status Verifier::check_layer(int layer, const Location& at) const {
  const size_t index = static_cast<size_t>(program_.range.first + layer);
  const Layer& owner = model_.layers[index];
  for (size_t i = 0; i < owner.parameters.size(); ++i) {
    const ValueId id = owner.parameters[i];
    Location place = at;
    place.offset += layouts_[index].parameter_offsets[i] * 4;
    const Term whole = terms_.whole(id);
    Touched touched;
    const bool found = whole == kNoTerm
                           ? is_unused(place)
                           : read(span_of(id, place), gradient_content(whole), &touched).ok();
    if (!found) {
      return failed_error("the gradient of parameter '%s' is not whole",
                          model_.value(id).name.c_str());
    }
  }
  return Status();
}

Status Verifier::check_parameters() const {
  for (int layer = 0; layer < program_.range.count(); ++layer) {
    if (program_.steps_by_layer) {
      const auto& owner = model_.layers[static_cast<size_t>(program_.range.first + layer)];
      if (owner.parameters.empty() || is_finished_[static_cast<size_t>(layer)]) continue;
      return failed_error("layer %d is never stepped", layer);
    }
    FT_RETURN_IF_ERROR(check_layer(layer, {Region::kParameterGradient, layer, 0}));
  }
  return Status();
}

}  // namespace

Status verify_program(const Model& model, const std::vector<LayerLayout>& layouts,
                      const RangeProgram& program, const BackwardOptions& options) {
  return Verifier(model, layouts, program, options).run();
}

}  // namespace ft
