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
                                   "mlp_dropout_train_op14.onnx", "tied_train_op14.onnx"};

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

}  // namespace

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
