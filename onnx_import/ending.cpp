#include "onnx_import/ending.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace ft {
namespace {

int32_t producer_of(const Model& model, ValueId id) {
  for (size_t i = model.nodes.size(); i-- > 0;) {
    for (const ValueId made : model.nodes[i].outputs) {
      if (made == id) return static_cast<int32_t>(i);
    }
  }
  return -1;
}

// Axes without those of one element; `batch_axis` always stays, as -1, because its length must not
// matter.
std::vector<int64_t> long_axes(const Shape& shape, int batch_axis) {
  std::vector<int64_t> axes;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (axis == batch_axis) axes.push_back(-1);
    if (axis != batch_axis && shape.dim(axis) != 1) axes.push_back(shape.dim(axis));
  }
  return axes;
}

// The way back from the output: a value, and which of its axes is the batch.
struct Place {
  ValueId value = kNoValue;
  int batch_axis = 0;
};

// Steps over the node that made the place's value if it only keeps or drops axes of one element and
// leaves the others in order. False when it does more.
bool step_back(const Model& model, const Node& node, Place* place) {
  const std::string_view op = node.op->name;
  const Shape& output = model.value(place->value).type.shape;
  Place before{node.inputs.empty() ? kNoValue : node.inputs[0], place->batch_axis};
  if (before.value == kNoValue) return false;
  const Shape& input = model.value(before.value).type.shape;
  if (op == "Transpose") {
    const Result<std::vector<int64_t>> perm = node.attributes.get_ints("perm", {});
    if (!perm.ok() || static_cast<int>(perm->size()) != output.rank()) return false;
    before.batch_axis = static_cast<int>((*perm)[static_cast<size_t>(place->batch_axis)]);
  } else if (op != "Identity" && op != "Squeeze" && op != "Unsqueeze" && op != "Flatten" &&
             op != "Reshape") {
    return false;
  }
  if (before.batch_axis >= input.rank()) return false;
  // The feature map's order (C, N, ...) moves the batch and nothing else.
  std::vector<int64_t> from = long_axes(input, before.batch_axis);
  std::vector<int64_t> to = long_axes(output, place->batch_axis);
  if (op == "Transpose") {
    std::erase(from, -1);
    std::erase(to, -1);
  }
  if (from != to) return false;
  *place = before;
  return true;
}

}  // namespace

int32_t last_operator(const Model& model, ValueId output) {
  Place place{output, 0};
  while (true) {
    const int32_t index = producer_of(model, place.value);
    if (index < 0 || !step_back(model, model.nodes[static_cast<size_t>(index)], &place)) {
      return index;
    }
  }
}

ValueId leave_out_softmax(Model* model, ValueId output) {
  std::vector<int32_t> views;  // from the output to the Softmax
  Place place{output, 0};
  int32_t index = producer_of(*model, output);
  while (index >= 0 && step_back(*model, model->nodes[static_cast<size_t>(index)], &place)) {
    views.push_back(index);
    index = producer_of(*model, place.value);
  }
  if (index < 0) return output;
  const Node& last = model->nodes[static_cast<size_t>(index)];
  const std::string_view op = last.op->name;
  if (op != "Softmax" && op != "LogSoftmax") return output;
  const Shape& shape = model->value(place.value).type.shape;
  const Result<int64_t> axis_given = last.attributes.get_int("axis", -1);
  FT_CHECK(axis_given.ok());  // the op has read it
  const int64_t axis = *axis_given < 0 ? *axis_given + shape.rank() : *axis_given;
  int64_t row_elements = 1;
  for (int i = 0; i < shape.rank(); ++i) row_elements *= i == place.batch_axis ? 1 : shape.dim(i);
  if (axis == place.batch_axis || shape.dim(static_cast<int>(axis)) != row_elements) return output;
  const ValueId logits = last.inputs[0];
  model->notes.push_back(format(
      "the model ends in %.*s ('%s'): cross-entropy takes the value before it, which is the same "
      "loss; the exported model keeps it (--loss mse trains on what comes after it)",
      static_cast<int>(op.size()), op.data(), last.name.c_str()));
  if (views.empty()) return logits;
  model->nodes[static_cast<size_t>(views.back())].inputs[0] = logits;
  return output;
}

}  // namespace ft
