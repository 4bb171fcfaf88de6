#include "runtime/exec/layer_timer.h"

#include <algorithm>
#include <array>

#include "runtime/base/clock.h"
#include "runtime/base/random.h"

namespace ft {
namespace {

// At least kRoundsMin, then until the layer has been looked at for kEnoughUs.
constexpr int kRoundsMin = 2;
constexpr int kRoundsMax = 10;
constexpr double kEnoughUs = 500;
constexpr double kLongUs = 50'000;  // a layer that takes longer runs once only

// Numbers like those of normalised activations; integers (labels, tokens) are 0, which is always a
// class and a token.
ConstBufferPtr make_data(const TensorType& type) {
  const BufferPtr buffer = make_buffer(static_cast<size_t>(type.bytes()));
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

std::vector<ConstBufferPtr> make_data(const Model& model, const std::vector<ValueId>& ids) {
  std::vector<ConstBufferPtr> data;
  data.reserve(ids.size());
  for (const ValueId id : ids) data.push_back(make_data(model.value(id).type));
  return data;
}

// CPU time of the rounds so far.
class Stopwatch {
 public:
  explicit Stopwatch(const ThreadPool* pool) : pool_(*pool) {}

  void start() {
    own_us_ -= thread_cpu_now_us();
    workers_us_ -= pool_.worker_cpu_us();
  }
  void stop() {
    own_us_ += thread_cpu_now_us();
    workers_us_ += pool_.worker_cpu_us();
    ++rounds_;
  }
  // What was measured so far was a warm-up.
  void forget() {
    own_us_ = workers_us_ = 0;
    rounds_ = 0;
  }
  // The caller does its share and waits for the workers'.
  double total_us() const {
    const auto shared = static_cast<double>(own_us_ + workers_us_) / pool_.threads();
    return std::max(static_cast<double>(own_us_), shared);
  }
  double average_us() const { return total_us() / rounds_; }

 private:
  const ThreadPool& pool_;
  TimeUs own_us_ = 0;
  TimeUs workers_us_ = 0;
  int rounds_ = 0;
};

}  // namespace

Result<double> time_layer(const std::shared_ptr<const Model>& model, int layer,
                          const TrainerOptions& options, ThreadPool* pool) {
  TrainerOptions alone = options;
  alone.batch_size = model->batch;
  alone.micro_batches = 1;
  alone.optimizer.learning_rate = 0;  // the same arithmetic, and nothing grows
  FT_ASSIGN_OR_RETURN(std::unique_ptr<RangeTrainer> trainer,
                      RangeTrainer::create(model, {layer, layer + 1}, alone, pool));
  const LayerLayout& layout = trainer->layouts()[static_cast<size_t>(layer)];
  trainer->load(-1, {initial_state(*model, layer, layout)});
  const RangeProgram& program = trainer->executor().train();
  const std::vector<ConstBufferPtr> inputs = make_data(*model, program.inputs);
  ConstBufferPtr labels;
  std::vector<ConstBufferPtr> received;
  if (trainer->is_last()) {
    TensorType type = model->value(model->output).type;
    // Zeros for both losses, of the larger of the two sizes.
    const auto bytes = static_cast<size_t>(
        options.loss == LossKind::kCrossEntropy ? 8 * model->batch : type.bytes());
    const BufferPtr zeros = make_buffer(bytes);
    std::fill_n(zeros->data(), bytes, std::byte{0});
    labels = zeros;
  } else {
    received = make_data(*model, program.received_gradients);
  }

  Stopwatch passes(pool);
  Stopwatch steps(pool);
  for (int batch = 0; batch <= kRoundsMax; ++batch) {
    passes.start();
    FT_RETURN_IF_ERROR(trainer->forward(batch, 0, batch - 1, inputs, labels).status());
    trainer->backward(batch, 0, received);
    passes.stop();
    steps.start();
    trainer->step(batch, batch);
    trainer->retain(batch, {});
    steps.stop();
    if (batch == 0 && passes.total_us() > kLongUs) break;
    if (batch == 0) {
      passes.forget();
      steps.forget();
    } else if (batch >= kRoundsMin && passes.total_us() + steps.total_us() >= kEnoughUs) {
      break;
    }
  }
  return passes.average_us() + steps.average_us() / options.micro_batches;
}

}  // namespace ft
