#include "onnx_import/rows.h"

#include <algorithm>
#include <cstring>

namespace ft {
namespace {

using Kind = RowPlace::Kind;

RowPlace placed(int axis, int64_t inner = 1) { return {Kind::kPlaced, axis, inner}; }
constexpr RowPlace kLostPlace = {Kind::kLost, 0, 1};

// What a rule says of a node's first output.
struct Step {
  RowPlace place;
  std::string meets = {};  // empty: rows stay apart
};

Step meet(std::string what, const RowPlace& place = kLostPlace) { return {place, std::move(what)}; }

struct Operand {
  const Value* value = nullptr;  // null where an optional input is left out
  RowPlace place;

  int rank() const { return value->type.shape.rank(); }
  const Shape& shape() const { return value->type.shape; }
};

// A rule's view of a node: its operands, and where the batch is in them.
struct Call {
  const Node* node = nullptr;
  std::vector<Operand> operands;
  Shape output;
  int64_t batch = 0;

  bool has(size_t index) const {
    return index < operands.size() && operands[index].value != nullptr;
  }
  bool is_placed(size_t index) const { return has(index) && operands[index].place.is_placed(); }
  int64_t int_attribute(const char* name, int64_t fallback) const {
    const Result<int64_t> value = node->attributes.get_int(name, fallback);
    return value.ok() ? *value : fallback;
  }
  // REQUIRES: rank > 0.
  int axis_attribute(int64_t fallback, int rank) const {
    const int64_t axis = int_attribute("axis", fallback);
    return static_cast<int>(axis < 0 ? axis + rank : axis);
  }
};

std::string own_values(const Operand& operand) {
  return "has values of its own for each row of the batch ('" + operand.value->name + "')";
}

// Whether all rows of the batch have the same bytes in a constant.
bool has_equal_rows(const Value& constant, int64_t batch, const RowPlace& place) {
  const size_t bytes = static_cast<size_t>(row_stride(constant.type.shape, place) *
                                           dtype_bytes(constant.type.dtype));
  const size_t block = bytes * static_cast<size_t>(batch);
  const std::byte* data = constant.data->data();
  for (size_t first = 0; first + block <= constant.data->size(); first += block) {
    for (size_t row = bytes; row < block; row += bytes) {
      if (std::memcmp(data + first, data + first + row, bytes) != 0) return false;
    }
  }
  return true;
}

// Whether an operand without a batch has a value for each row, its axes aligned with those of an
// output of `rank` from the end.
bool varies_by_row(const Operand& operand, int rank, const RowPlace& place, int64_t batch) {
  if (operand.value == nullptr || operand.place.kind != Kind::kNone) return false;
  const int axis = place.axis - (rank - operand.rank());
  if (axis < 0 || operand.shape().dim(axis) == 1) return false;
  return operand.value->kind != ValueKind::kConstant ||
         !has_equal_rows(*operand.value, batch, placed(axis, place.inner));
}

// ---- The rules ----

// Operands from `first` on are broadcast to the output. Operands without float values (bounds,
// masks' ratios) have no place and one element.
Step elementwise(const Call& call) {
  const int rank = call.output.rank();
  RowPlace result;
  bool is_lost = false;
  for (const Operand& operand : call.operands) {
    if (operand.value == nullptr) continue;
    is_lost = is_lost || operand.place.kind == Kind::kLost;
    if (!operand.place.is_placed()) continue;
    const RowPlace place = placed(operand.place.axis + rank - operand.rank(), operand.place.inner);
    const bool is_stretched =
        operand.shape().dim(operand.place.axis) != call.output.dim(place.axis);
    if (is_stretched || (result.is_placed() && !(result == place))) {
      return meet("combines every row of a batch with others");
    }
    result = place;
  }
  if (!result.is_placed()) return {is_lost ? kLostPlace : RowPlace()};
  for (const Operand& operand : call.operands) {
    if (varies_by_row(operand, rank, result, call.batch)) {
      return meet(own_values(operand), result);
    }
  }
  return {result};
}

Step view(const Call& call) {
  const Operand& x = call.operands[0];
  if (!x.place.is_placed()) return {x.place};
  const RowPlace place = place_by_stride(call.output, call.batch, row_stride(x.shape(), x.place));
  if (!place.is_placed()) return meet("reshapes across the rows of a batch");
  return {place};
}

Step transpose(const Call& call) {
  const RowPlace& place = call.operands[0].place;
  if (!place.is_placed()) return {place};
  std::vector<int64_t> perm(static_cast<size_t>(call.output.rank()));
  for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(perm.size() - 1 - i);
  const Result<std::vector<int64_t>> given = call.node->attributes.get_ints("perm", perm);
  if (given.ok()) perm = *given;
  const auto found = std::find(perm.begin(), perm.end(), place.axis);
  return {placed(static_cast<int>(found - perm.begin()), place.inner)};
}

Step along_axis(const Call& call) {
  const RowPlace& place = call.operands[0].place;
  if (place.is_placed() && call.axis_attribute(-1, call.output.rank()) == place.axis) {
    return meet("normalises over the rows of a batch", place);
  }
  return {place};
}

// Along the batch, parts that are all rows of the batch stand behind one another: several batches
// on one axis, still row by row.
Step concat(const Call& call) {
  const int axis = call.axis_attribute(0, call.output.rank());
  RowPlace result;
  bool is_lost = false;
  for (const Operand& operand : call.operands) {
    is_lost = is_lost || operand.place.kind == Kind::kLost;
    if (!operand.place.is_placed()) continue;
    if (result.is_placed() && !(result == operand.place)) {
      return meet("joins values that have the batch on different axes");
    }
    result = operand.place;
  }
  if (!result.is_placed()) return {is_lost ? kLostPlace : RowPlace()};
  for (const Operand& operand : call.operands) {
    if (operand.place.is_placed()) continue;
    if (result.axis == axis) return meet("appends to the rows of the batch");
    if (varies_by_row(operand, call.output.rank(), result, call.batch)) {
      return meet(own_values(operand), result);
    }
  }
  return {result};
}

Step reduce(const Call& call) {
  const Operand& x = call.operands[0];
  if (!x.place.is_placed()) return {x.place};
  std::vector<bool> is_reduced(static_cast<size_t>(x.rank()), false);
  const Result<std::vector<int64_t>> axes = call.node->attributes.get_ints("axes", {});
  if (!axes.ok() || axes->empty()) is_reduced.assign(is_reduced.size(), true);
  for (const int64_t axis : axes.ok() ? *axes : std::vector<int64_t>()) {
    is_reduced[static_cast<size_t>(axis < 0 ? axis + x.rank() : axis)] = true;
  }
  if (is_reduced[static_cast<size_t>(x.place.axis)]) {
    return meet("takes the mean over the rows of a batch");
  }
  if (call.int_attribute("keepdims", 1) != 0) return {x.place};
  const auto before = std::count(is_reduced.begin(), is_reduced.begin() + x.place.axis, true);
  return {placed(x.place.axis - static_cast<int>(before), x.place.inner)};
}

// A product of matrices in the last two axes; `a_rows` and `b_columns` are the axes, counted from
// the end, that become the output's rows (1) and columns (0); the others are summed over.
Step product(const Call& call, int a_rows, int b_columns) {
  const Operand* const sides[2] = {&call.operands[0], &call.operands[1]};
  const int kept[2] = {a_rows, b_columns};
  const int rank = call.output.rank();
  RowPlace result;
  for (size_t i = 0; i < 2; ++i) {
    const Operand& side = *sides[i];
    if (side.place.kind == Kind::kLost) return {kLostPlace};
    if (!side.place.is_placed()) continue;
    const int from_end = side.rank() - 1 - side.place.axis;
    if (from_end < 2 && from_end != kept[i]) return meet("sums over the rows of a batch");
    const int to_end = from_end >= 2 ? from_end : i == 0 ? 1 : 0;
    const RowPlace place = placed(rank - 1 - to_end, side.place.inner);
    const bool both = result.is_placed();
    if (both && (to_end < 2 || !(result == place))) {
      return meet("multiplies every row of a batch with every other");
    }
    result = place;
  }
  // Only operands that are broadcast over matrices can have values for each row.
  if (result.is_placed() && result.axis < rank - 2) {
    for (const Operand* side : sides) {
      if (varies_by_row(*side, rank, result, call.batch)) return meet(own_values(*side), result);
    }
  }
  return {result};
}

Step gemm(const Call& call) {
  const int a_rows = call.int_attribute("transA", 0) != 0 ? 0 : 1;
  const int b_columns = call.int_attribute("transB", 0) != 0 ? 1 : 0;
  Step step = product(call, a_rows, b_columns);
  if (!call.has(2) || !step.meets.empty()) return step;
  // Adding C is an elementwise step of its own.
  Call addition = call;
  Value product_value;
  product_value.type.shape = call.output;
  addition.operands = {{&product_value, step.place}, call.operands[2]};
  return elementwise(addition);
}

// `mixes_channels`: every output channel depends on all input channels.
Step windows(const Call& call, bool mixes_channels) {
  const RowPlace& place = call.operands[0].place;
  for (size_t i = 1; i < call.operands.size(); ++i) {
    if (call.has(i) && call.operands[i].place.kind != Kind::kNone) {
      return meet("takes its weights from the rows of the batch");
    }
  }
  if (!place.is_placed()) return {place};
  if (place.axis == 0 && mixes_channels) {
    return meet("takes the rows of the batch for channels and mixes them");
  }
  if (place.axis > 1) {
    return meet("takes the rows of the batch for positions of an image and mixes them");
  }
  return {place};
}

// Statistics of a channel over everything else (batch norm), or of a channel of a row.
Step norm(const Call& call, bool is_batch_norm) {
  const Operand& x = call.operands[0];
  for (size_t i = 1; i < call.operands.size(); ++i) {
    if (call.has(i) && call.operands[i].place.kind != Kind::kNone) {
      return meet("takes its parameters from the rows of the batch");
    }
  }
  if (!x.place.is_placed()) return {x.place};
  const bool is_channel = x.place.axis == (x.rank() == 2 ? 1 : 0);
  if (is_channel) {
    return meet("takes the rows of the batch for channels, each with parameters of its own",
                x.place);
  }
  if (!is_batch_norm && x.place.axis > 1) {
    return meet("takes the rows of the batch for positions of an image and normalises over them",
                x.place);
  }
  return {x.place};
}

Step apply(const Call& call) {
  switch (call.node->op->rows) {
    case RowRule::kElementwise:
      return elementwise(call);
    case RowRule::kView:
      return view(call);
    case RowRule::kTranspose:
      return transpose(call);
    case RowRule::kAxis:
      return along_axis(call);
    case RowRule::kConcat:
      return concat(call);
    case RowRule::kReduce:
      return reduce(call);
    case RowRule::kMatMul:
      return product(call, 1, 0);
    case RowRule::kGemm:
      return gemm(call);
    case RowRule::kConvolution:
      return windows(call, true);
    case RowRule::kPool:
      return windows(call, false);
    case RowRule::kBatchNorm:
      return norm(call, true);
    case RowRule::kInstanceNorm:
      return norm(call, false);
  }
  FT_CHECK(false);
  return {};
}

}  // namespace

int64_t row_stride(const Shape& shape, const RowPlace& place) {
  return place.inner * shape.product(place.axis + 1, shape.rank());
}

RowPlace place_by_stride(const Shape& shape, int64_t batch, int64_t stride) {
  if (stride == 0 || shape.element_count() == 0) return kLostPlace;
  RowPlace found = kLostPlace;
  int64_t below = shape.element_count();  // elements inside one index of the axis
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int64_t whole = below;
    below /= shape.dim(axis);
    if (shape.dim(axis) == batch && below == stride) return placed(axis);
    const bool fits = stride % below == 0 && whole % (stride * batch) == 0;
    // An axis of 1 holds the batch only if it is the batch.
    if (fits && shape.dim(axis) > 1 && !found.is_placed()) found = placed(axis, stride / below);
  }
  return found;
}

std::string to_string(const RowMeeting& meeting) {
  return format("node '%s' (%s) %s", meeting.node.c_str(), meeting.op.c_str(),
                meeting.what.c_str());
}

void RowTracker::follow(const Model& model) {
  if (places_.empty()) {
    FT_CHECK(model.input != kNoValue);
    places_.resize(static_cast<size_t>(model.input) + 1);
    places_[static_cast<size_t>(model.input)] = placed(0);
  }
  places_.resize(model.values.size());
  for (; nodes_seen_ < model.nodes.size(); ++nodes_seen_) {
    follow_node(model, model.nodes[nodes_seen_]);
  }
}

void RowTracker::follow_node(const Model& model, const Node& node) {
  Call call;
  call.node = &node;
  call.batch = batch_;
  for (const ValueId id : node.inputs) {
    Operand& operand = call.operands.emplace_back();
    if (id == kNoValue) continue;
    operand = {&model.value(id), place(id)};
  }
  const ValueId output = node.outputs.empty() ? kNoValue : node.outputs[0];
  if (output == kNoValue || call.operands.empty()) return;
  call.output = model.value(output).type.shape;
  Step step = apply(call);
  const auto index = static_cast<size_t>(output);
  if (known_ != nullptr && batch_ == 1 && index < known_->size()) {
    step = {(*known_)[index], ""};
  }
  places_[index] = step.place;
  if (step.meets.empty()) return;
  const RowMeeting meeting = {node.name, node.op->name, std::move(step.meets)};
  if (step.place.kind == Kind::kLost && !lost_) lost_ = meeting;
  if (!meeting_) meeting_ = meeting;
}

Status check_output_rows(const std::string& name, const Shape& shape, int64_t batch,
                         const RowPlace& place, const std::optional<RowMeeting>& lost) {
  const std::string text =
      format("the model's output '%s' of shape %s", name.c_str(), to_string(shape).c_str());
  const bool has_rows = shape.rank() > 0 && shape.dim(0) == batch;
  if (place.is_placed() && place.axis == 0 && has_rows) return {};
  if (place.is_placed() && place.axis == 0) {
    return invalid_error(
        "%s has %lld rows for each of %lld samples: reshape it to [batch, ...] at the end of the "
        "model",
        text.c_str(), static_cast<long long>(shape.dim(0) / batch), static_cast<long long>(batch));
  }
  if (place.is_placed()) {
    return invalid_error(
        "%s has the batch on axis %d: transpose it at the end of the model, so that axis 0 is the "
        "batch",
        text.c_str(), place.axis);
  }
  // After a meeting there may be a row for each sample again.
  if (has_rows && place.kind == Kind::kLost) return {};
  if (!lost) return invalid_error("%s is not computed from the samples", text.c_str());
  return invalid_error("%s, and %s has no row for each sample: the model's last node must give one",
                       to_string(*lost).c_str(), text.c_str());
}

}  // namespace ft
