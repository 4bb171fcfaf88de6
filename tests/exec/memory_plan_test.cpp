#include "runtime/exec/memory_plan.h"

#include <algorithm>
#include <cstring>
#include <doctest/doctest.h>

#include "tests/exec/cluster.h"

using ft::test::Cluster;

namespace {

constexpr int64_t kRows = 4;
constexpr const char* kModels[] = {"lenet_train_op14.onnx",       "resnet18_train_op14.onnx",
                                   "mobilenetv2_train_op14.onnx", "squeezenet_train_op14.onnx",
                                   "mlp_dropout_train_op14.onnx", "tied_train_op14.onnx",
                                   "branches_train_op14.onnx",    "vgg_bn_train_op14.onnx",
                                   "mlp_train_op14.onnx",         "mobilenetv2_frozen_op13.onnx"};

ft::TrainerOptions options_of(int micros, bool steps_by_layer) {
  ft::TrainerOptions options;
  options.micro_batches = micros;
  options.batch_size = kRows * micros;
  options.steps_by_layer = options.one_in_flight = steps_by_layer;
  options.optimizer.weight_decay = 1e-4F;
  return options;
}

void train(Cluster* cluster, const ft::Model& model, int micros, int64_t first, int64_t last) {
  for (int64_t batch = first; batch < last; ++batch) {
    std::vector<ft::ConstBufferPtr> inputs;
    std::vector<ft::ConstBufferPtr> labels;
    for (int micro = 0; micro < micros; ++micro) {
      const auto number = static_cast<uint64_t>(batch * micros + micro);
      inputs.push_back(ft::test::random_input(model, number));
      labels.push_back(ft::test::random_labels(model, number));
    }
    cluster->train(batch, inputs, labels);
  }
}

// The two halves of a model as a pipeline in async trains them: the first is two batches ahead.
struct Halves {
  Halves(const std::shared_ptr<const ft::Model>& whole, int cut, const ft::TrainerOptions& options)
      : model(whole), pool(1) {
    const std::pair<ft::LayerRange, int> parts[] = {{{0, cut}, 2},
                                                    {{cut, whole->layer_count()}, 1}};
    for (const auto& [range, in_flight] : parts) {
      auto made = ft::RangeTrainer::create(model, range, ft::at_place(options, in_flight), &pool);
      REQUIRE(made.ok());
      std::vector<ft::LayerState> states;
      for (int layer = range.first; layer < range.last; ++layer) {
        const ft::LayerLayout& layout = (*made)->layouts()[static_cast<size_t>(layer)];
        states.push_back(ft::initial_state(*model, layer, layout));
      }
      (*made)->load(-1, states);
      stages.push_back(std::move(*made));
    }
  }

  void forward_first(int64_t batch) {
    auto made =
        stages[0]->forward(batch, 0, std::max<int64_t>(batch - 2, -1),
                           {ft::test::random_input(*model, static_cast<uint64_t>(batch))}, nullptr);
    REQUIRE(made.ok());
    sent.push_back(made->outputs);
  }

  // By value, as crossing values are numbered in both programs.
  void train(int64_t batch) {
    const auto labels = ft::test::random_labels(*model, static_cast<uint64_t>(batch));
    REQUIRE(stages[1]->forward(batch, 0, batch - 1, sent.front(), labels).ok());
    sent.erase(sent.begin());
    const auto gradients = stages[1]->backward(batch, 0, {});
    stages[0]->backward(batch, 0, gradients);
    stages[1]->step(batch, batch, {batch, {}});
    stages[0]->step(batch, batch, {batch - 1, {}});
    forward_first(batch + 2);
  }

  std::shared_ptr<const ft::Model> model;
  ft::ThreadPool pool;
  std::vector<std::unique_ptr<ft::RangeTrainer>> stages;
  std::vector<std::vector<ft::ConstBufferPtr>> sent;
};

}  // namespace

TEST_CASE("memory plan: stages of a pipeline hold, byte for byte, what was planned") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto model = ft::test::golden_model(name, kRows);
    for (int cut = 1; cut < model->layer_count(); cut += 3) {
      CAPTURE(cut);
      const ft::TrainerOptions options = options_of(1, false);
      Halves halves(model, cut, options);
      halves.forward_first(0);
      halves.forward_first(1);
      for (int64_t batch = 0; batch < 4; ++batch) halves.train(batch);
      const auto first = ft::plan_memory(*model, {0, cut}, options, 2);
      const auto last = ft::plan_memory(*model, {cut, model->layer_count()}, options, 1);
      REQUIRE((first.ok() && last.ok()));
      CHECK(halves.stages[0]->held_bytes() == first->trainer_bytes());
      CHECK(halves.stages[1]->held_bytes() == last->trainer_bytes());
    }
  }
}

TEST_CASE("memory plan: the parts add up, and what happens before training is no part of it") {
  const auto model = ft::test::golden_model("mlp_train_op14.onnx", kRows);
  ft::ProcessMemory process;
  process.threads = 2;
  process.has_peers = process.keeps_file = true;
  process.file_bytes = 64 << 20;
  process.data_bytes = 1000;
  const ft::ProcessBytes around = ft::plan_process(*model, process);
  const auto plan =
      ft::plan_memory(*model, {0, model->layer_count()}, options_of(1, true), 1, process);
  REQUIRE(plan.ok());
  // Reading the file takes it twice.
  CHECK(plan->total_bytes() == around.start_bytes);
  CHECK(plan->start_bytes == around.start_bytes - around.held_bytes() - plan->range_bytes());
  process.file_bytes = 0;
  const auto small =
      ft::plan_memory(*model, {0, model->layer_count()}, options_of(1, true), 1, process);
  REQUIRE(small.ok());
  CHECK(small->start_bytes == 0);
  CHECK(small->total_bytes() == small->trainer_bytes() + small->batch_bytes + small->message_bytes +
                                    small->spare_bytes + small->data_bytes + small->process_bytes);
}

TEST_CASE("memory plan: the trainer holds, byte for byte, what was planned") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto model = ft::test::golden_model(name, kRows);
    for (const int micros : {1, 2}) {
      CAPTURE(micros);
      const ft::TrainerOptions options = options_of(micros, true);
      const auto plan = ft::plan_memory(*model, {0, model->layer_count()}, options);
      REQUIRE(plan.ok());
      Cluster cluster(model, {}, options, 1);
      train(&cluster, *model, micros, 0, 3);
      CHECK(cluster.stage(0).held_bytes() == plan->trainer_bytes());
    }
  }
}

TEST_CASE("memory plan: a step layer by layer gives the bits of a step of all, in less memory") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto model = ft::test::golden_model(name, kRows);
    Cluster whole(model, {}, options_of(1, false), 1);
    Cluster by_layer(model, {}, options_of(1, true), 2);
    CHECK(by_layer.stage(0).steps_by_layer());
    train(&whole, *model, 1, 0, 3);
    train(&by_layer, *model, 1, 0, 3);
    CHECK(by_layer.hash(2) == whole.hash(2));
    CHECK(by_layer.stage(0).held_bytes() < whole.stage(0).held_bytes());
  }
}

TEST_CASE("memory plan: a version is overwritten, unless somebody holds it") {
  const auto model = ft::test::golden_model("lenet_train_op14.onnx", kRows);
  for (const bool by_layer : {false, true}) {
    CAPTURE(by_layer);
    Cluster cluster(model, {}, options_of(1, by_layer), 1);
    train(&cluster, *model, 1, 0, 1);
    const ft::Buffer* place = cluster.stage(0).state(0, 0).snapshot.get();
    train(&cluster, *model, 1, 1, 2);
    CHECK(cluster.stage(0).state(0, 1).snapshot.get() == place);

    const ft::ConstBufferPtr cut = cluster.stage(0).state(0, 1).snapshot;
    const std::vector<std::byte> bytes(cut->bytes().begin(), cut->bytes().end());
    train(&cluster, *model, 1, 2, 3);
    CHECK(cluster.stage(0).state(0, 2).snapshot != cut);
    CHECK(std::memcmp(cut->data(), bytes.data(), bytes.size()) == 0);
  }
}

TEST_CASE("memory plan: what cheap passes make again is not kept from forward to backward") {
  const auto model = ft::test::golden_model("mobilenetv2_train_op14.onnx", kRows);
  std::vector<ft::LayerLayout> layouts;
  for (int layer = 0; layer < model->layer_count(); ++layer) {
    layouts.push_back(ft::layer_layout(*model, layer, ft::OptimizerOptions()));
  }
  const auto program =
      ft::compile_range(*model, {0, model->layer_count()}, layouts, ft::Mode::kTrain);
  REQUIRE(program.ok());
  int again = 0;
  for (const ft::BackwardStep& step : (*program)->backward) {
    again += static_cast<int>(step.recomputes.size());
  }
  int64_t kept_bytes = 0;  // of convolutions, additions and the classifier, at most
  int clips = 0;
  for (const ft::Node& node : model->nodes) {
    const std::string op = node.op->name;
    clips += op == "Clip" ? 1 : 0;
    if (op == "BatchNormalization" || op == "Clip") continue;
    kept_bytes += model->value(node.outputs[0]).type.bytes();
  }
  CHECK(again >= 2 * clips);  // each with the batch norm before it
  int64_t stash_of_norms = 0;
  for (const ft::KernelPlan& plan : (*program)->plans) stash_of_norms += plan.stash_bytes + 128;
  CHECK((*program)->stash_bytes <= kept_bytes + stash_of_norms);
}
