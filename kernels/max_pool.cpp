// MaxPool: y[p] = the largest x in the window of p, dx = dy at the place it came from. Of equal
// elements the first in row-major order wins; NaN wins over everything, so that it is seen.
// https://onnx.ai/onnx/operators/onnx__MaxPool.html
//
// A window of nothing but minus infinity gives its gradient to its first element, or to nobody if
// that is padding.
//
// The stash holds, per output, which element of the window won: 2 bytes.

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/ops.h"
#include "kernels/parallel.h"
#include "kernels/pool_shape.h"
#include "kernels/simd/loops.h"
#include "kernels/window_grid.h"

namespace ft {
namespace {

// Tasks, each with its own grids: enough for a board's cores to finish together.
constexpr int64_t kPoolTasks = 8;
// A phase of the input, the largest elements and their places are read and written at once.
constexpr int64_t kPoolGridElements = 8 * 1024;

// Windows over planes on grids (window_grid.h), with minus infinity around the input.
class MaxPool : public Kernel {
 public:
  MaxPool(const PoolShape& shape, bool saves)
      : shape_(shape),
        saves_(saves),
        grid_(shape.window, shape.planes, ceil_div(shape.planes, kPoolTasks), kPoolGridElements),
        blocks_(ceil_div(shape.planes, grid_.block_images())),
        tasks_(std::min(kPoolTasks, blocks_)) {
    for (int64_t tap = 0; tap < grid_.taps(); ++tap) shifts_.push_back(grid_.shift(tap));
    for (int64_t phase = 0; phase < grid_.phases(); ++phase) {
      WindowGrid::Seen seen = grid_.seen_in(phase);
      seen_.push_back({{seen.indices.begin(), seen.indices.end()}, std::move(seen.shifts)});
    }
  }

  int64_t workspace_bytes() const { return tasks_ * slot_elements() * 4; }

  void forward(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    auto* const winners = reinterpret_cast<uint16_t*>(args.stash);
    for_blocks(args, [&](const Slot& slot, int64_t plane, int64_t planes) {
      grid_.load_input(x + plane * shape_.window.input_plane(), planes, slot.input);
      const ShiftedMax shape = {
          .columns = grid_.elements(planes), .depth = grid_.taps(), .shifts = shifts_.data()};
      loops::shifted_max(&shape, slot.input + grid_.margin(), slot.output + grid_.margin(),
                         slot.winners + grid_.margin());
      const int64_t out = plane * shape_.window.output_plane();
      grid_.store_output(slot.output, planes, y + out);
      if (!saves_) return;
      grid_.store_output(slot.winners, planes, slot.compact);
      std::copy_n(slot.compact, planes * shape_.window.output_plane(), winners + out);
    });
  }

  void backward(const BackwardArgs& args) const override {
    float* const dx = args.grad_inputs[0];
    if (dx == nullptr) return;
    const float* const dy = args.grad_outputs[0];
    const auto* winners = reinterpret_cast<const uint16_t*>(args.stash);
    for_blocks(args, [&](const Slot& slot, int64_t plane, int64_t planes) {
      const int64_t out = plane * shape_.window.output_plane();
      grid_.load_output(dy + out, planes, slot.output);
      std::copy_n(winners + out, planes * shape_.window.output_plane(), slot.compact);
      grid_.load_output(slot.compact, planes, slot.winners);
      for (int64_t phase = 0; phase < grid_.phases(); ++phase) {
        const Seen& seen = seen_[static_cast<size_t>(phase)];
        const ShiftedMarks shape = {.columns = grid_.elements(planes),
                                    .depth = static_cast<int64_t>(seen.marks.size()),
                                    .shifts = seen.shifts.data(),
                                    .marks = seen.marks.data()};
        loops::shifted_marked(&shape, slot.winners + grid_.margin(), slot.output + grid_.margin(),
                              slot.input + grid_.phase_begin(phase));
      }
      grid_.store_input(slot.input, planes, dx + plane * shape_.window.input_plane());
    });
  }

 private:
  // The taps that see a phase of the input.
  struct Seen {
    std::vector<float> marks;  // their numbers
    std::vector<int64_t> shifts;
  };
  struct Slot {
    float* input;    // a grid of x, or of dx
    float* output;   // a grid of y, or of dy
    float* winners;  // a grid of taps' numbers
    float* compact;  // those of the windows alone
  };

  int64_t slot_elements() const {
    const int64_t compact = grid_.block_images() * shape_.window.output_plane();
    return grid_.input_elements() + 2 * grid_.output_elements() + ceil_div(compact, 16) * 16;
  }

  // Of what is read: padding is never the largest, and nobody's gradient is zero.
  void fill_margins(const ForwardArgs&, const Slot& slot) const {
    loops::fill(-std::numeric_limits<float>::infinity(), slot.input, grid_.input_elements());
  }
  void fill_margins(const BackwardArgs&, const Slot& slot) const {
    loops::fill(0.0F, slot.output, 2 * grid_.output_elements());
  }

  // Calls fn(slot, first plane, planes) for every block.
  template <typename Args, typename Function>
  void for_blocks(const Args& args, const Function& fn) const {
    args.pool->run(tasks_, [&](int64_t task) {
      Slot slot{};
      slot.input = reinterpret_cast<float*>(args.workspace) + task * slot_elements();
      slot.output = slot.input + grid_.input_elements();
      slot.winners = slot.output + grid_.output_elements();
      slot.compact = slot.winners + grid_.output_elements();
      fill_margins(args, slot);
      for (int64_t i = task * blocks_ / tasks_; i < (task + 1) * blocks_ / tasks_; ++i) {
        const int64_t plane = i * grid_.block_images();
        fn(slot, plane, std::min(grid_.block_images(), shape_.planes - plane));
      }
    });
  }

  const PoolShape shape_;
  const bool saves_;  // for backward
  const WindowGrid grid_;
  const int64_t blocks_;
  const int64_t tasks_;
  std::vector<int64_t> shifts_;
  std::vector<Seen> seen_;
};

}  // namespace

Result<KernelPlan> make_max_pool(const OpRequest& request) {
  FT_ASSIGN_OR_RETURN(const PoolShape shape, parse_pool(request));
  if (shape.window.kernel_area() > std::numeric_limits<uint16_t>::max()) {
    return invalid_error("a window of %lld elements is too large",
                         static_cast<long long>(shape.window.kernel_area()));
  }
  KernelPlan plan = pool_plan(shape, request);
  const bool saves = request.mode == Mode::kTrain;
  auto kernel = std::make_unique<MaxPool>(shape, saves);
  plan.forward_workspace_bytes = plan.backward_workspace_bytes = kernel->workspace_bytes();
  plan.kernel = std::move(kernel);
  plan.stash_bytes = saves ? plan.outputs[0].shape.element_count() * 2 : 0;
  return plan;
}

}  // namespace ft
