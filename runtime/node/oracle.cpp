#include "runtime/node/oracle.h"

#include <map>

#include "runtime/node/compute_thread.h"
#include "runtime/pipeline/schedule.h"

namespace ft {
namespace {

using Tensors = std::map<ValueId, ConstBufferPtr>;

std::vector<ConstBufferPtr> pick(const Tensors& tensors, const std::vector<ValueId>& ids) {
  std::vector<ConstBufferPtr> list;
  list.reserve(ids.size());
  for (const ValueId id : ids) list.push_back(tensors.at(id));
  return list;
}

Tensors name(const std::vector<ValueId>& ids, const std::vector<ConstBufferPtr>& list) {
  Tensors tensors;
  for (size_t i = 0; i < ids.size(); ++i) tensors[ids[i]] = list[i];
  return tensors;
}

}  // namespace

Oracle::Oracle(const TrainingJob* job, ThreadPool* pool)
    : job_(*job),
      training_(job->training),
      pool_(pool),
      loader_(job->dataset.get(), job->batch_shape()) {
  const TrainerOptions options = trainer_options(training_);
  for (int layer = 0; layer < job_.model->layer_count(); ++layer) {
    layouts_.push_back(layer_layout(*job_.model, layer, options.optimizer));
  }
}

std::vector<LayerState> Oracle::initial_states() const {
  std::vector<LayerState> states;
  states.reserve(layouts_.size());
  for (int layer = 0; layer < job_.model->layer_count(); ++layer) {
    states.push_back(initial_state(*job_.model, layer, layouts_[static_cast<size_t>(layer)]));
  }
  return states;
}

Status Oracle::resume(const std::vector<LayerRange>& ranges, int64_t version,
                      const std::vector<LayerState>& states) {
  stages_.clear();
  for (const LayerRange& range : ranges) {
    FT_ASSIGN_OR_RETURN(std::unique_ptr<RangeTrainer> stage,
                        RangeTrainer::create(job_.model, range, trainer_options(training_), pool_));
    stage->load(version,
                std::vector<LayerState>(states.begin() + range.first, states.begin() + range.last));
    stages_.push_back(std::move(stage));
  }
  ranges_ = ranges;
  resumed_ = version_ = version;
  return Status();
}

Status Oracle::train_batch() {
  const int64_t batch = version_ + 1;
  double loss_sum = 0;
  for (int32_t micro = 0; micro < micro_count(training_); ++micro) {
    FT_ASSIGN_OR_RETURN(const double loss, forward(batch, micro));
    loss_sum += loss;
    backward(batch, micro);
  }
  const int stages = static_cast<int>(stages_.size());
  for (int s = 0; s < stages; ++s) {
    const StagePlace place{s, stages, resumed_};
    stages_[static_cast<size_t>(s)]->step(batch, mean_from(training_, place, batch),
                                          {oldest_needed(training_, place, batch), {}});
  }
  loss_ = loss_sum / static_cast<double>(training_.batch_size());
  version_ = batch;
  return Status();
}

// Returns the sum of the rows' losses.
Result<double> Oracle::forward(int64_t batch, int32_t micro) {
  const LoadResult data = loader_.train(Load{LoadKind::kTrain, 0, batch, micro, 0});
  const int stages = static_cast<int>(stages_.size());
  Tensors crossing = {{job_.model->input, data.input}};
  double loss_sum = 0;
  for (int s = 0; s < stages; ++s) {
    RangeTrainer& stage = *stages_[static_cast<size_t>(s)];
    const RangeProgram& program = stage.executor().train();
    const int64_t version = version_used(training_, {s, stages, resumed_}, batch);
    FT_ASSIGN_OR_RETURN(
        RangeTrainer::ForwardResult result,
        stage.forward(batch, micro, version, pick(crossing, program.inputs), data.labels));
    if (!stage.is_last()) crossing = name(program.outputs, result.outputs);
    loss_sum += result.loss.loss_sum;
  }
  return loss_sum;
}

void Oracle::backward(int64_t batch, int32_t micro) {
  Tensors gradients;
  for (size_t s = stages_.size(); s-- > 0;) {
    RangeTrainer& stage = *stages_[s];
    const RangeProgram& program = stage.executor().train();
    std::vector<ConstBufferPtr> received;
    if (!stage.is_last()) received = pick(gradients, program.received_gradients);
    gradients = name(program.sent_gradients, stage.backward(batch, micro, received));
  }
}

std::vector<LayerState> Oracle::states() const {
  std::vector<LayerState> states;
  for (size_t s = 0; s < stages_.size(); ++s) {
    for (int layer = ranges_[s].first; layer < ranges_[s].last; ++layer) {
      states.push_back(stages_[s]->state(layer, version_));
    }
  }
  return states;
}

std::string Oracle::hash(const std::vector<LayerState>& states) const {
  return weights_sha256(*job_.model, values_of_states(*job_.model, layouts_, states));
}

}  // namespace ft
