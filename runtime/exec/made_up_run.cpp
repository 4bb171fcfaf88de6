#include "runtime/exec/made_up_run.h"

#include <algorithm>
#include <array>

#include "runtime/base/random.h"

namespace ft {
namespace {

// Numbers like those of normalised activations; integers (labels, tokens) are 0, which is always a
// class and a token.
ConstBufferPtr make_data(const TensorType& type) {
  const BufferPtr buffer = make_buffer(type.bytes());
  std::fill_n(buffer->data(), buffer->size(), std::byte{0});
  if (type.dtype != DType::kFloat32) return buffer;
  const RandomKey key{0, RandomPurpose::kSynthetic, 0};
  auto* values = reinterpret_cast<float*>(buffer->data());
  const int64_t count = type.bytes() / 4;
  for (int64_t i = 0; i < count; i += 4) {
    const std::array<uint32_t, 4> bits = random_block(key, 0, static_cast<uint64_t>(i));
    for (int64_t j = i; j < std::min(i + 4, count); ++j) {
      values[j] = 2 * uniform_float(bits[static_cast<size_t>(j - i)]) - 1;
    }
  }
  return buffer;
}

// How long a layer takes does not depend on its weights, which the model may have let go.
LayerState zero_state(const LayerLayout& layout) {
  const BufferPtr snapshot = make_buffer(layout.snapshot_bytes());
  const BufferPtr statistics = make_buffer(layout.statistic_bytes());
  for (const BufferPtr& buffer : {snapshot, statistics}) {
    std::fill_n(buffer->data(), buffer->size(), std::byte{0});
  }
  return {snapshot, statistics};
}

std::vector<ConstBufferPtr> make_data(const Model& model, const std::vector<ValueId>& ids) {
  std::vector<ConstBufferPtr> data;
  data.reserve(ids.size());
  for (const ValueId id : ids) data.push_back(make_data(model.value(id).type));
  return data;
}

}  // namespace

Result<std::unique_ptr<MadeUpRun>> MadeUpRun::create(const std::shared_ptr<const Model>& model,
                                                     LayerRange range,
                                                     const TrainerOptions& options,
                                                     ThreadPool* pool) {
  TrainerOptions alone = options;
  alone.batch_size = model->batch;
  alone.micro_batches = 1;
  alone.optimizer.learning_rate = 0;
  auto run = std::make_unique<MadeUpRun>();
  FT_ASSIGN_OR_RETURN(run->trainer_, RangeTrainer::create(model, range, alone, pool));
  std::vector<LayerState> states;
  for (int layer = range.first; layer < range.last; ++layer) {
    states.push_back(zero_state(run->trainer_->layouts()[static_cast<size_t>(layer)]));
  }
  run->trainer_->load(-1, states);
  const RangeProgram& program = run->trainer_->executor().train();
  run->inputs_ = make_data(*model, program.inputs);
  if (!run->trainer_->is_last()) {
    run->received_ = make_data(*model, program.received_gradients);
    return run;
  }
  // Zeros for both losses, of the larger of the two sizes.
  const auto bytes = static_cast<size_t>(options.loss == LossKind::kCrossEntropy
                                             ? 8 * model->batch
                                             : model->value(model->output).type.bytes());
  const BufferPtr zeros = make_buffer(bytes);
  std::fill_n(zeros->data(), bytes, std::byte{0});
  run->labels_ = zeros;
  return run;
}

Status MadeUpRun::forward() {
  return trainer_->forward(batch_, 0, batch_ - 1, inputs_, labels_).status();
}

void MadeUpRun::backward() { trainer_->backward(batch_, 0, received_); }

void MadeUpRun::step() {
  trainer_->step(batch_, batch_, {batch_, {}});
  ++batch_;
}

}  // namespace ft
