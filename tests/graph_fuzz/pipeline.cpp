#include "tests/graph_fuzz/pipeline.h"

#include <algorithm>

namespace ft::fuzz {

std::string describe_plan(const RunPlan& plan) {
  std::string text = plan.is_async ? "async" : "sync";
  text += format(", %d micro-batches, %d threads", plan.micro_batches, plan.threads);
  if (plan.fills_first) text += ", fills first";
  if (plan.aggregate_every > 0) text += format(", mean every %d", plan.aggregate_every);
  for (const Station& s : plan.stations) {
    text += format("; layers %d to %d", s.range.first, s.range.last - 1);
    if (plan.is_async) text += format(" as stage %d", s.stage);
    if (s.defers) text += " defers";
    if (s.one_in_flight) text += " one_in_flight";
    if (s.steps_by_layer) text += " steps_by_layer";
  }
  return text;
}

Result<std::unique_ptr<Pipeline>> Pipeline::create(std::shared_ptr<const Model> model,
                                                   const TrainerOptions& options,
                                                   const RunPlan& plan) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline(std::move(model), plan));
  for (const Station& station : plan.stations) {
    TrainerOptions own = options;
    own.micro_batches = plan.micro_batches;
    own.batch_size = pipeline->model_->batch * plan.micro_batches;
    own.defers_gradients = station.defers;
    own.one_in_flight = station.one_in_flight;
    own.steps_by_layer = station.steps_by_layer;
    FT_ASSIGN_OR_RETURN(
        std::unique_ptr<RangeTrainer> trainer,
        RangeTrainer::create(pipeline->model_, station.range, own, &pipeline->pool_));
    std::vector<LayerState> states;
    for (int layer = station.range.first; layer < station.range.last; ++layer) {
      states.push_back(
          initial_state(*pipeline->model_, layer, trainer->layouts()[static_cast<size_t>(layer)]));
    }
    trainer->load(-1, states);
    pipeline->trainers_.push_back(std::move(trainer));
  }
  return pipeline;
}

Status Pipeline::forward(size_t station, int64_t batch, int micro, int64_t version,
                         const Samples& samples) {
  RangeTrainer& trainer = *trainers_[station];
  const RangeProgram& program = trainer.executor().train();
  const auto at = static_cast<size_t>(micro);
  Crossing& crossing = activations_[{batch, micro}];
  if (station == 0) crossing[model_->input] = samples.inputs[at];
  std::vector<ConstBufferPtr> inputs;
  for (const ValueId id : program.inputs) inputs.push_back(crossing.at(id));
  FT_ASSIGN_OR_RETURN(const RangeTrainer::ForwardResult result,
                      trainer.forward(batch, micro, version, inputs, samples.labels[at]));
  crossing.clear();
  for (size_t i = 0; i < result.outputs.size(); ++i) {
    crossing[program.outputs[i]] = result.outputs[i];
  }
  if (!trainer.is_last()) return {};
  losses_.resize(static_cast<size_t>(batch) + 1, 0.0);
  losses_.back() += result.loss.loss_sum;
  activations_.erase({batch, micro});
  return {};
}

void Pipeline::backward(size_t station, int64_t batch, int micro) {
  RangeTrainer& trainer = *trainers_[station];
  const RangeProgram& program = trainer.executor().train();
  Crossing& crossing = gradients_[{batch, micro}];
  std::vector<ConstBufferPtr> received;
  if (!trainer.is_last()) {
    for (const ValueId id : program.received_gradients) received.push_back(crossing.at(id));
  }
  const std::vector<ConstBufferPtr> sent = trainer.backward(batch, micro, received);
  crossing.clear();
  for (size_t i = 0; i < sent.size(); ++i) crossing[program.sent_gradients[i]] = sent[i];
  if (station == 0) gradients_.erase({batch, micro});
}

// The rules of DESIGN 3: which versions later batches use, what is averaged.
void Pipeline::step(size_t station, int64_t batch) {
  const int64_t behind = plan_.is_async ? plan_.stages - plan_.stations[station].stage : 1;
  int64_t mean_from = batch;
  if (plan_.aggregate_every > 0 && (batch + 1) % plan_.aggregate_every == 0) {
    mean_from = std::max<int64_t>(-1, batch - behind + 1);
  }
  trainers_[station]->step(batch, mean_from, {std::max<int64_t>(-1, batch + 1 - behind), {}});
}

Status Pipeline::train_sync(const std::vector<Samples>& batches) {
  for (const Samples& samples : batches) {
    const int64_t batch = last_batch_ + 1;
    const auto forward_all = [&](int micro) -> Status {
      for (size_t s = 0; s < trainers_.size(); ++s) {
        FT_RETURN_IF_ERROR(forward(s, batch, micro, batch - 1, samples));
      }
      return {};
    };
    const auto backward_all = [&](int micro) {
      for (size_t s = trainers_.size(); s-- > 0;) backward(s, batch, micro);
    };
    for (int micro = 0; micro < plan_.micro_batches; ++micro) {
      FT_RETURN_IF_ERROR(forward_all(micro));
      if (!plan_.fills_first) backward_all(micro);
    }
    for (int micro = 0; plan_.fills_first && micro < plan_.micro_batches; ++micro) {
      backward_all(micro);
    }
    for (size_t s = 0; s < trainers_.size(); ++s) step(s, batch);
    last_batch_ = batch;
  }
  return {};
}

// 1F1B: forward of batch b on stage s at time 2 b + s, backward at 2 b + 2 S - 1 - s. A batch's
// version, that of batch b - (S - s), was made just before.
Status Pipeline::train_async(const std::vector<Samples>& batches) {
  const auto count = static_cast<int64_t>(batches.size());
  const int64_t stages = plan_.stages;
  for (int64_t time = 0; time < 2 * (count + stages); ++time) {
    for (size_t s = 0; s < trainers_.size(); ++s) {
      const int64_t stage = plan_.stations[s].stage;
      const int64_t since = time - stage;
      if (since < 0 || since % 2 != 0 || since / 2 >= count) continue;
      const int64_t batch = since / 2;
      const int64_t version = std::max<int64_t>(-1, batch - (stages - stage));
      FT_RETURN_IF_ERROR(forward(s, batch, 0, version, batches[static_cast<size_t>(batch)]));
    }
    for (size_t s = trainers_.size(); s-- > 0;) {
      const int64_t since = time - (2 * stages - 1 - plan_.stations[s].stage);
      if (since < 0 || since % 2 != 0 || since / 2 >= count) continue;
      backward(s, since / 2, 0);
      step(s, since / 2);
    }
  }
  last_batch_ = count - 1;
  return {};
}

Status Pipeline::train(const std::vector<Samples>& batches) {
  return plan_.is_async ? train_async(batches) : train_sync(batches);
}

std::vector<ConstBufferPtr> Pipeline::snapshots() const {
  std::vector<ConstBufferPtr> list;
  for (size_t s = 0; s < trainers_.size(); ++s) {
    const LayerRange range = plan_.stations[s].range;
    for (int layer = range.first; layer < range.last; ++layer) {
      list.push_back(trainers_[s]->state(layer, last_batch_).snapshot);
    }
  }
  return list;
}

Result<ConstBufferPtr> Pipeline::evaluate(const ConstBufferPtr& input,
                                          const ConstBufferPtr& labels) {
  Crossing crossing = {{model_->input, input}};
  ConstBufferPtr output;
  for (auto& trainer : trainers_) {
    const RangeProgram& program = trainer->executor().infer();
    std::vector<ConstBufferPtr> inputs;
    for (const ValueId id : program.inputs) inputs.push_back(crossing.at(id));
    FT_ASSIGN_OR_RETURN(const RangeTrainer::EvaluationResult result,
                        trainer->evaluate(last_batch_, inputs, labels, model_->batch));
    crossing.clear();
    for (size_t i = 0; i < result.outputs.size(); ++i) {
      crossing[program.outputs[i]] = result.outputs[i];
    }
    output = result.outputs[0];
  }
  return output;
}

std::string Pipeline::hash() const {
  std::vector<LayerState> states;
  for (size_t s = 0; s < trainers_.size(); ++s) {
    const LayerRange range = plan_.stations[s].range;
    for (int layer = range.first; layer < range.last; ++layer) {
      states.push_back(trainers_[s]->state(layer, last_batch_));
    }
  }
  return weights_sha256(*model_, values_of_states(*model_, trainers_[0]->layouts(), states));
}

}  // namespace ft::fuzz
