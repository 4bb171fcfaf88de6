// Dropout: y = x / (1 - ratio) where the mask keeps an element, else 0; dx likewise, with the same
// mask. Without training, or with ratio 0, y is x and no kernel runs.
// https://onnx.ai/onnx/operators/onnx__Dropout.html
//
// The mask is a pure function of (seed, node, epoch, batch, row in the batch, element in the row),
// so a row has the same mask in whichever micro-batch it is. Backward computes it again: four
// elements cost one block of random numbers, and nothing is stashed.

#include <algorithm>
#include <array>

#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/request.h"
#include "kernels/simd/loops.h"
#include "runtime/base/random.h"

namespace ft {
namespace {

constexpr int64_t kBlock = 4;      // random numbers of one counter
constexpr int64_t kAtOnce = 1024;  // random numbers
constexpr int kEpochShift = 40;    // batches are numbered below 2^40

// Which axis counts the rows of a batch: maps of rank 3 and more are CNHW here (the op table says
// LayoutRule::kFeatureMap, whose importer makes it so), matrices have the batch first.
int row_axis(const Shape& shape) { return shape.rank() >= 3 ? 1 : 0; }

// A row lies in `channels` runs of `run` elements each: {channels, rows, run}.
struct DropoutShape {
  int64_t channels = 1;
  int64_t rows = 1;
  int64_t run = 1;

  uint64_t blocks_per_row() const {
    return static_cast<uint64_t>((channels * run + kBlock - 1) / kBlock);
  }
};

// The importer says where the rows are (attributes of this program, not ONNX's): they may be
// merged with another axis, or stand behind one.
Result<DropoutShape> split(const Attributes& attributes, const Shape& shape) {
  if (shape.rank() == 0) return DropoutShape();
  FT_ASSIGN_OR_RETURN(const int64_t outer, attributes.get_int("row_outer", 0));
  FT_ASSIGN_OR_RETURN(const int64_t inner, attributes.get_int("row_inner", 0));
  if (outer > 0 && inner > 0 && shape.element_count() % inner == 0 &&
      shape.element_count() / inner % outer == 0) {
    return DropoutShape{outer, shape.element_count() / inner / outer, inner};
  }
  const int axis = row_axis(shape);
  return DropoutShape{shape.product(0, axis), shape.dim(axis),
                      shape.product(axis + 1, shape.rank())};
}

class DropoutKernel final : public Kernel {
 public:
  DropoutKernel(const DropoutShape& shape, float ratio, uint32_t node)
      : shape_(shape), ratio_(ratio), factor_(1.0F / (1.0F - ratio)), node_(node) {}

  void forward(const ForwardArgs& args) const override {
    apply(static_cast<const float*>(args.inputs[0]), static_cast<float*>(args.outputs[0]),
          args.step, args.pool);
  }

  void backward(const BackwardArgs& args) const override {
    if (args.grad_inputs[0] == nullptr) return;
    apply(args.grad_outputs[0], args.grad_inputs[0], args.step, args.pool);
  }

 private:
  void apply(const float* source, float* target, const StepId& step, ThreadPool* pool) const {
    parallel_for_rows(pool, shape_.rows, shape_.channels * shape_.run,
                      [&](int64_t row) { apply_row(source, target, row, step); });
  }

  // Random numbers for many elements at once, then element by element where the row lies.
  void apply_row(const float* source, float* target, int64_t row, const StepId& step) const {
    const uint64_t key = philox_key({step.seed, RandomPurpose::kDropout, node_});
    const uint64_t counter_high =
        (static_cast<uint64_t>(step.epoch) << kEpochShift) ^ static_cast<uint64_t>(step.batch);
    const uint64_t counter_low =
        static_cast<uint64_t>(row + step.row_first) * shape_.blocks_per_row();
    const int64_t elements = shape_.channels * shape_.run;
    std::array<float, kAtOnce> numbers;
    int64_t channel = 0;
    int64_t at = 0;  // in the channel's run
    for (int64_t first = 0; first < elements; first += kAtOnce) {
      const int64_t count = std::min(kAtOnce, elements - first);
      const uint64_t low = counter_low + static_cast<uint64_t>(first) / kBlock;
      loops::uniform_numbers({key, counter_high, low}, numbers.data(), count);
      for (int64_t done = 0; done < count;) {
        const int64_t part = std::min(count - done, shape_.run - at);
        const int64_t offset = (channel * shape_.rows + row) * shape_.run + at;
        loops::drop(numbers.data() + done, source + offset, ratio_, factor_, target + offset, part);
        done += part;
        at += part;
        if (at < shape_.run) continue;
        at = 0;
        ++channel;
      }
    }
  }

  const DropoutShape shape_;
  const float ratio_;
  const float factor_;
  const uint32_t node_;
};

}  // namespace

Result<KernelPlan> make_dropout(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_input_count(request, 1, 3));
  const TensorType& type = request.inputs[0].type;
  if (type.dtype != DType::kFloat32) return invalid_error("input 0 is not float32");
  if (request.output_count > 1) {
    return invalid_error("the mask (output 1) is not supported; export without using it");
  }
  FT_ASSIGN_OR_RETURN(const float ratio, constant_float(request, 1, "ratio", 0.5F));
  FT_ASSIGN_OR_RETURN(const bool is_training, constant_flag(request, 2, "training_mode", false));
  if (!(ratio >= 0 && ratio < 1)) {
    return invalid_error("ratio %g must be at least 0 and below 1", static_cast<double>(ratio));
  }
  if (request.mode == Mode::kInfer || !is_training || ratio == 0) {
    return plan_view(request, type.shape);
  }
  KernelPlan plan;
  FT_ASSIGN_OR_RETURN(const DropoutShape shape, split(*request.attributes, type.shape));
  plan.kernel = std::make_unique<DropoutKernel>(shape, ratio, request.node);
  plan.outputs = {type};
  plan.in_place = true;
  plan.flops = static_cast<double>(type.shape.element_count());
  return plan;
}

}  // namespace ft
