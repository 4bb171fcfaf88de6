#include "tests/exec/cluster.h"

#include <doctest/doctest.h>
#include <map>

#include "onnx_import/import.h"
#include "runtime/base/file.h"
#include "runtime/base/random.h"

namespace ft::test {

std::shared_ptr<const Model> golden_model(const std::string& name, int64_t rows) {
  const std::string path = std::string(FT_SOURCE_DIR) + "/tests/golden/models/" + name;
  const Result<BufferPtr> file = read_file(path);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  ImportOptions options;
  options.batch = rows;
  Result<Model> model = import_model((*file)->bytes(), options);
  REQUIRE_MESSAGE(model.ok(), name << ": " << model.status().message());
  return std::make_shared<Model>(std::move(*model));
}

Cluster::Cluster(std::shared_ptr<const Model> model, const std::vector<int>& cuts,
                 const TrainerOptions& options, int threads)
    : model_(std::move(model)), pool_(threads) {
  int first = 0;
  for (const int cut : cuts) {
    ranges_.push_back({first, cut});
    first = cut;
  }
  ranges_.push_back({first, model_->layer_count()});
  for (const LayerRange& range : ranges_) {
    TrainerOptions own = options;
    own.defers_gradients = options.defers_gradients && range.first > 0;
    const bool last = range.last == model_->layer_count();
    own.one_in_flight = options.one_in_flight || (last && !cuts.empty());
    Result<std::unique_ptr<RangeTrainer>> made = RangeTrainer::create(model_, range, own, &pool_);
    REQUIRE_MESSAGE(made.ok(), made.status().message());
    stages_.push_back(std::move(*made));
    std::vector<LayerState> states;
    for (int layer = range.first; layer < range.last; ++layer) {
      states.push_back(
          initial_state(*model_, layer, stages_.back()->layouts()[static_cast<size_t>(layer)]));
    }
    stages_.back()->load(-1, states);
  }
}

double Cluster::train(int64_t batch, const std::vector<ConstBufferPtr>& inputs,
                      const std::vector<ConstBufferPtr>& labels) {
  double loss = 0;
  for (size_t micro = 0; micro < inputs.size(); ++micro) {
    std::map<ValueId, ConstBufferPtr> crossing = {{model_->input, inputs[micro]}};
    for (auto& stage : stages_) {
      const RangeProgram& program = stage->executor().train();
      std::vector<ConstBufferPtr> tensors;
      for (const ValueId id : program.inputs) tensors.push_back(crossing.at(id));
      auto result =
          stage->forward(batch, static_cast<int>(micro), batch - 1, tensors, labels[micro]);
      REQUIRE_MESSAGE(result.ok(), result.status().message());
      crossing.clear();
      for (size_t i = 0; i < result->outputs.size(); ++i) {
        crossing[program.outputs[i]] = result->outputs[i];
      }
      loss += result->loss.loss_sum;
    }
    std::map<ValueId, ConstBufferPtr> gradients;
    for (size_t s = stages_.size(); s-- > 0;) {
      const RangeProgram& program = stages_[s]->executor().train();
      std::vector<ConstBufferPtr> received;
      if (!stages_[s]->is_last()) {
        for (const ValueId id : program.received_gradients) received.push_back(gradients.at(id));
      }
      const auto sent = stages_[s]->backward(batch, static_cast<int>(micro), received);
      gradients.clear();
      for (size_t i = 0; i < sent.size(); ++i) gradients[program.sent_gradients[i]] = sent[i];
    }
  }
  for (auto& stage : stages_) stage->step(batch, batch, {batch, {}});
  return loss;
}

LossResult Cluster::evaluate(int64_t version, const ConstBufferPtr& input,
                             const ConstBufferPtr& labels) {
  std::map<ValueId, ConstBufferPtr> crossing = {{model_->input, input}};
  LossResult loss;
  for (auto& stage : stages_) {
    const RangeProgram& program = stage->executor().infer();
    std::vector<ConstBufferPtr> tensors;
    for (const ValueId id : program.inputs) tensors.push_back(crossing.at(id));
    auto result = stage->evaluate(version, tensors, labels, model_->batch);
    REQUIRE(result.ok());
    crossing.clear();
    for (size_t i = 0; i < result->outputs.size(); ++i) {
      crossing[program.outputs[i]] = result->outputs[i];
    }
    loss = result->loss;
  }
  return loss;
}

std::string Cluster::hash(int64_t version) const {
  std::vector<LayerState> states;
  for (size_t s = 0; s < stages_.size(); ++s) {
    for (int layer = ranges_[s].first; layer < ranges_[s].last; ++layer) {
      states.push_back(stages_[s]->state(layer, version));
    }
  }
  return weights_sha256(*model_, values_of_states(*model_, stages_[0]->layouts(), states));
}

ConstBufferPtr random_input(const Model& model, uint64_t number) {
  BufferPtr buffer = make_buffer(static_cast<size_t>(model.value(model.input).type.bytes()));
  const size_t count = buffer->size() / 4;
  for (size_t i = 0; i < count; ++i) {
    const auto bits = random_block({number, RandomPurpose::kSynthetic, 1}, 0, i);
    buffer->floats()[i] = uniform_float(bits[0]) * 2 - 1;
  }
  return buffer;
}

ConstBufferPtr random_labels(const Model& model, uint64_t number) {
  BufferPtr buffer = make_buffer(static_cast<size_t>(model.batch) * 8);
  const int64_t classes = model.value(model.output).type.shape.element_count() / model.batch;
  auto* labels = reinterpret_cast<int64_t*>(buffer->data());
  for (int64_t i = 0; i < model.batch; ++i) {
    const auto bits =
        random_block({number, RandomPurpose::kSynthetic, 2}, 0, static_cast<uint64_t>(i));
    labels[i] = bits[0] % classes;
  }
  return buffer;
}

}  // namespace ft::test
