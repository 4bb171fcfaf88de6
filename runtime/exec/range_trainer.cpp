#include "runtime/exec/range_trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ft {

RangeTrainer::RangeTrainer(std::shared_ptr<const Model> model, LayerRange range,
                           const TrainerOptions& options, ThreadPool* pool)
    : model_(std::move(model)), range_(range), options_(options), pool_(pool) {
  for (int layer = 0; layer < model_->layer_count(); ++layer) {
    layouts_.push_back(layer_layout(*model_, layer, options_.optimizer));
  }
  moves_statistics_.assign(static_cast<size_t>(range_.count()), false);
  spare_versions_.resize(static_cast<size_t>(range_.count()));
  for (const Value& value : model_->values) {
    if (value.kind != ValueKind::kUpdate) continue;
    for (int layer = range_.first; layer < range_.last; ++layer) {
      for (const ValueId id : model_->layers[static_cast<size_t>(layer)].statistics) {
        if (id == value.updates)
          moves_statistics_[static_cast<size_t>(layer - range_.first)] = true;
      }
    }
  }
}

BackwardOptions backward_options(const TrainerOptions& options, LayerRange range) {
  BackwardOptions backward;
  backward.defers = options.defers_gradients;
  backward.one_in_flight = options.one_in_flight && !options.defers_gradients;
  backward.steps_by_layer = options.steps_by_layer && range.first == 0 &&
                            options.micro_batches == 1 && !options.defers_gradients;
  return backward;
}

Result<std::unique_ptr<RangeTrainer>> RangeTrainer::create(std::shared_ptr<const Model> model,
                                                           LayerRange range,
                                                           const TrainerOptions& options,
                                                           ThreadPool* pool) {
  FT_CHECK(options.batch_size == model->batch * options.micro_batches);
  std::unique_ptr<RangeTrainer> trainer(new RangeTrainer(std::move(model), range, options, pool));
  FT_ASSIGN_OR_RETURN(trainer->executor_,
                      RangeExecutor::create(trainer->model_, range, trainer->layouts_,
                                            backward_options(options, range), pool));
  if (!trainer->steps_by_layer()) trainer->gradients_ = trainer->make_gradients();
  if (options.micro_batches > 1) trainer->micro_gradients_ = trainer->make_gradients();
  return trainer;
}

void RangeTrainer::load(int64_t version, const std::vector<LayerState>& states) {
  FT_CHECK(static_cast<int>(states.size()) == range_.count());
  parameters_.clear();
  statistics_.clear();
  flights_.clear();
  unfinished_.reset();
  LayerBuffers& parameters = parameters_[version];
  LayerBuffers& statistics = statistics_[version];
  for (const LayerState& state : states) {
    parameters.push_back(state.snapshot);
    statistics.push_back(state.statistics);
  }
  statistics_head_ = statistics;
}

StepId RangeTrainer::step_id(int64_t batch, int micro) const {
  StepId step;
  step.seed = options_.seed;
  step.epoch = batch / options_.batches_per_epoch;
  step.batch = batch;
  step.row_first = micro * model_->batch;
  return step;
}

// Copies of the statistics that the coming forward pass moves; null for the others.
std::vector<BufferPtr> RangeTrainer::next_statistics() const {
  std::vector<BufferPtr> next(statistics_head_.size());
  for (size_t i = 0; i < next.size(); ++i) {
    if (!moves_statistics_[i]) continue;
    next[i] = make_buffer(statistics_head_[i]->size());
    std::memcpy(next[i]->data(), statistics_head_[i]->data(), next[i]->size());
  }
  return next;
}

std::vector<BufferPtr> RangeTrainer::make_gradients() const {
  std::vector<BufferPtr> gradients;
  for (int local = 0; local < range_.count(); ++local) {
    const int64_t count = layout(static_cast<size_t>(local)).parameter_count;
    gradients.push_back(make_buffer(static_cast<uint64_t>(count) * 4));
  }
  return gradients;
}

LossResult RangeTrainer::loss_of(const Buffer& output, const Buffer& labels, int64_t rows,
                                 float* grad_output) const {
  const int64_t row_elements =
      model_->value(model_->output).type.shape.element_count() / model_->batch;
  const float scale = 1.0F / static_cast<float>(options_.batch_size);
  if (options_.loss == LossKind::kMeanSquaredError) {
    return mean_squared_error(output.floats(), labels.floats(), rows, row_elements, scale,
                              grad_output, pool_);
  }
  return cross_entropy(output.floats(), reinterpret_cast<const int64_t*>(labels.data()), rows,
                       row_elements, scale, grad_output, pool_);
}

Status RangeTrainer::check_loss(const LossResult& loss, int64_t batch, int64_t version) const {
  const auto number = static_cast<long long>(batch + 1);
  if (loss.bad_row >= 0) {
    return failed_error("batch %lld: the label of row %lld is outside the model's classes", number,
                        static_cast<long long>(loss.bad_row));
  }
  if (std::isfinite(loss.loss_sum)) return Status();
  // Labels and samples are finite, which is checked before training begins.
  if (version < 0) {
    return failed_error(
        "batch %lld: the loss is not finite before any step: the model's output overflows; scale "
        "the samples, say x / numpy.abs(x).max(), or begin with other weights",
        number);
  }
  return failed_error(
      "batch %lld: the loss is not finite: the model's output overflows; begin another run with a "
      "smaller --lr",
      number);
}

Result<RangeTrainer::ForwardResult> RangeTrainer::forward(int64_t batch, int micro, int64_t version,
                                                          std::vector<ConstBufferPtr> inputs,
                                                          const ConstBufferPtr& labels) {
  FT_CHECK(parameters_.count(version) != 0);
  FT_CHECK(!(steps_by_layer() && unfinished_));  // the step comes first
  FT_CHECK(!options_.one_in_flight || flights_.empty());
  finish_backward();
  Flight& flight = flights_[{batch, micro}];
  flight.version = version;
  const std::vector<BufferPtr> moved = next_statistics();
  executor_->forward(parameters_[version], statistics_head_, std::move(inputs),
                     step_id(batch, micro), moved, &flight.slot);
  for (size_t i = 0; i < moved.size(); ++i) {
    if (moved[i] != nullptr) statistics_head_[i] = moved[i];
  }
  if (micro == options_.micro_batches - 1) statistics_[batch] = statistics_head_;

  ForwardResult result;
  if (!is_last()) {
    result.outputs = flight.slot.outputs;
    return result;
  }
  const Buffer& output = *flight.slot.outputs[0];
  BufferPtr grad_output = make_buffer(output.size());
  result.loss = loss_of(output, *labels, model_->batch, grad_output->floats());
  flight.grad_output = grad_output;
  FT_RETURN_IF_ERROR(check_loss(result.loss, batch, version));
  return result;
}

std::vector<ConstBufferPtr> RangeTrainer::backward(int64_t batch, int micro,
                                                   const std::vector<ConstBufferPtr>& received) {
  finish_backward();
  const auto found = flights_.find({batch, micro});
  FT_CHECK(found != flights_.end());
  Flight flight = std::move(found->second);
  flights_.erase(found);
  std::vector<ConstBufferPtr> gradients = received;
  if (is_last() && !executor_->train().received_gradients.empty()) {
    gradients = {flight.grad_output};
  }
  RangeExecutor::Backward call;
  call.parameters = &parameters_.at(flight.version);
  call.statistics = statistics_head_;
  call.received = std::move(gradients);
  call.step = step_id(batch, micro);
  if (!steps_by_layer()) call.parameter_gradients = micro == 0 ? gradients_ : micro_gradients_;
  call.slot = std::move(flight.slot);
  if (steps_by_layer()) {
    unfinished_ = std::move(call);
    return {};
  }
  std::vector<ConstBufferPtr> sent = executor_->backward(call);
  unfinished_ = std::move(call);
  unfinished_micro_ = micro;
  if (!options_.defers_gradients) finish_backward();
  return sent;
}

void RangeTrainer::finish_backward() {
  if (!unfinished_ || steps_by_layer()) return;
  executor_->finish_backward(std::move(*unfinished_));
  unfinished_.reset();
  if (unfinished_micro_ == 0) return;
  for (size_t i = 0; i < gradients_.size(); ++i) {
    float* sum = gradients_[i]->floats();
    const float* part = micro_gradients_[i]->floats();
    const int64_t count = layout(i).parameter_count;
    for (int64_t k = 0; k < count; ++k) sum[k] += part[k];
  }
}

namespace {

// Nobody but the owner of `buffer` holds it. The copy reads the count as its atomic increment does:
// what other threads did before they let go has happened.
bool is_sole_owner(const ConstBufferPtr& buffer) {
  const ConstBufferPtr probe = buffer;  // NOLINT(performance-unnecessary-copy-initialization)
  return probe.use_count() == 2;
}

}  // namespace

// Where a layer's next version goes; the bytes are whatever was there.
BufferPtr RangeTrainer::take_parameters(size_t local, bool overwrites, const ConstBufferPtr& old) {
  if (overwrites && is_sole_owner(old)) return std::const_pointer_cast<Buffer>(old);
  return spare_versions_[local].make(layout(local).snapshot_bytes());
}

// `own` holds the batch's own parameters, which come last.
void RangeTrainer::mean_of_versions(size_t local, int64_t first, int64_t batch, float* own) const {
  const int64_t count = layout(local).parameter_count;
  const float* oldest = parameters_.at(first)[local]->floats();
  std::vector<float> sum(oldest, oldest + count);
  for (int64_t version = first + 1; version <= batch; ++version) {
    const float* part = version == batch ? own : parameters_.at(version)[local]->floats();
    for (int64_t k = 0; k < count; ++k) sum[static_cast<size_t>(k)] += part[k];
  }
  const auto versions = static_cast<float>(batch - first + 1);
  for (int64_t k = 0; k < count; ++k) own[k] = sum[static_cast<size_t>(k)] / versions;
}

void RangeTrainer::step(int64_t batch, int64_t mean_from, const Kept& kept) {
  finish_backward();
  const LayerBuffers& old = parameters_.at(batch - 1);
  const LayerBuffers& statistics = statistics_.at(batch);
  const bool overwrites =
      batch - 1 < kept.oldest && kept.cuts.count(batch - 1) == 0 && mean_from == batch;
  LayerBuffers next(old.size());
  const auto step_layer = [&](size_t i, const float* gradient) {
    if (watch_ != nullptr) watch_->before();
    const int64_t count = layout(i).parameter_count;
    const BufferPtr made = take_parameters(i, overwrites, old[i]);
    const bool has_state = layout(i).slot_count > 0;
    optimizer_step(options_.optimizer, count, old[i]->floats(), gradient,
                   has_state ? old[i]->floats() + count : nullptr, made->floats(),
                   has_state ? made->floats() + count : nullptr, pool_);
    if (mean_from < batch) mean_of_versions(i, mean_from, batch, made->floats());
    std::memcpy(made->data() + layout(i).parameter_bytes(), statistics[i]->data(),
                statistics[i]->size());
    next[i] = made;
    if (watch_ != nullptr) watch_->after_layer(i);
  };
  if (steps_by_layer()) {
    FT_CHECK(unfinished_.has_value());
    unfinished_->finished = step_layer;
    executor_->backward(*unfinished_);
    executor_->finish_backward(std::move(*unfinished_));
    unfinished_.reset();
  }
  for (size_t i = 0; i < next.size(); ++i) {
    if (next[i] != nullptr) continue;  // stepped by now
    step_layer(i, gradients_.empty() ? nullptr : gradients_[i]->floats());
  }
  parameters_[batch] = std::move(next);
  if (overwrites) parameters_.erase(batch - 1);
  retain(kept);
}

void RangeTrainer::watch(LayerWatch* watch) {
  watch_ = watch;
  executor_->watch(watch);
}

Result<RangeTrainer::EvaluationResult> RangeTrainer::evaluate(int64_t version,
                                                              std::vector<ConstBufferPtr> inputs,
                                                              const ConstBufferPtr& labels,
                                                              int64_t rows) {
  FT_CHECK(parameters_.count(version) != 0 && statistics_.count(version) != 0);
  FT_CHECK(!(steps_by_layer() && unfinished_));
  FT_CHECK(!options_.one_in_flight || flights_.empty());
  finish_backward();
  EvaluationResult result;
  result.outputs =
      executor_->evaluate(parameters_[version], statistics_[version], std::move(inputs));
  if (is_last()) {
    result.loss = loss_of(*result.outputs[0], *labels, rows, nullptr);
    if (result.loss.bad_row >= 0) {
      return failed_error("evaluation: the label of row %lld is outside the model's classes",
                          static_cast<long long>(result.loss.bad_row));
    }
  }
  return result;
}

LayerState RangeTrainer::state(int layer, int64_t version) const {
  const auto local = static_cast<size_t>(layer - range_.first);
  return {parameters_.at(version)[local], statistics_.at(version)[local]};
}

int64_t RangeTrainer::held_bytes() const {
  std::set<const Buffer*> buffers;
  int64_t total = executor_->held_bytes();
  const auto add = [&](const ConstBufferPtr& buffer) {
    if (buffer == nullptr || !buffers.insert(buffer.get()).second) return;
    total += static_cast<int64_t>(buffer->size());
  };
  for (const auto& [version, layers] : parameters_)
    std::for_each(layers.begin(), layers.end(), add);
  for (const auto& [version, layers] : statistics_)
    std::for_each(layers.begin(), layers.end(), add);
  for (const RecycledBuffers& spare : spare_versions_) total += spare.idle_bytes();
  for (const auto* list : {&gradients_, &micro_gradients_}) {
    std::for_each(list->begin(), list->end(), add);
  }
  for (const auto& [key, flight] : flights_) add(flight.slot.stash);
  return total;
}

void RangeTrainer::retain(const Kept& kept) {
  const auto drop = [&](std::map<int64_t, LayerBuffers>* versions) {
    for (auto it = versions->begin(); it != versions->end() && it->first < kept.oldest;) {
      if (kept.cuts.count(it->first) != 0) {
        ++it;
        continue;
      }
      it = versions->erase(it);
    }
  };
  drop(&parameters_);
  drop(&statistics_);
}

}  // namespace ft
