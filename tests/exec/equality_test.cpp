// The promise of DESIGN 3 at the level of the executor: the same bits for any cuts and any threads.

#include <doctest/doctest.h>

#include "tests/exec/cluster.h"

using ft::test::Cluster;

namespace {

constexpr int kMicros = 2;
constexpr int64_t kRows = 3;
constexpr int kBatches = 3;

struct Outcome {
  std::string hash;
  double loss = 0;
  double evaluation = 0;
};

Outcome train(const std::shared_ptr<const ft::Model>& model, const std::vector<int>& cuts,
              int threads, bool defers = false, uint64_t seed = 1) {
  ft::TrainerOptions options;
  options.batch_size = kRows * kMicros;
  options.micro_batches = kMicros;
  options.seed = seed;
  options.batches_per_epoch = 2;
  options.optimizer.weight_decay = 1e-4F;
  options.defers_gradients = defers;
  Cluster cluster(model, cuts, options, threads);
  Outcome outcome;
  for (int64_t batch = 0; batch < kBatches; ++batch) {
    std::vector<ft::ConstBufferPtr> inputs;
    std::vector<ft::ConstBufferPtr> labels;
    for (uint64_t micro = 0; micro < kMicros; ++micro) {
      const uint64_t number = static_cast<uint64_t>(batch) * kMicros + micro;
      inputs.push_back(ft::test::random_input(*model, number));
      labels.push_back(ft::test::random_labels(*model, number));
    }
    outcome.loss = cluster.train(batch, inputs, labels);
  }
  outcome.hash = cluster.hash(kBatches - 1);
  outcome.evaluation = cluster
                           .evaluate(kBatches - 1, ft::test::random_input(*model, 99),
                                     ft::test::random_labels(*model, 99))
                           .loss_sum;
  return outcome;
}

void check_all_cuts(const char* name) {
  CAPTURE(name);
  const auto model = ft::test::golden_model(name, kRows);
  const Outcome whole = train(model, {}, 1);
  const int layers = model->layer_count();
  REQUIRE(layers >= 2);
  CHECK(train(model, {}, 2).hash == whole.hash);
  const int stride = layers > 20 ? 5 : 1;
  for (int cut = 1; cut < layers; cut += stride) {
    CAPTURE(cut);
    for (const bool defers : {false, true}) {
      CAPTURE(defers);
      const Outcome split = train(model, {cut}, 2, defers);
      CHECK(split.hash == whole.hash);
      CHECK(split.loss == whole.loss);
      CHECK(split.evaluation == whole.evaluation);
    }
  }
  std::vector<int> everywhere;
  for (int cut = 1; cut < layers; ++cut) everywhere.push_back(cut);
  CHECK(train(model, everywhere, 1).hash == whole.hash);
  CHECK(train(model, everywhere, 1, true).hash == whole.hash);
}

}  // namespace

TEST_CASE("exec: every cut of every kind of model gives the bits of the whole") {
  check_all_cuts("lenet_train_op14.onnx");
  check_all_cuts("resnet18_train_op14.onnx");
  check_all_cuts("mobilenetv2_train_op14.onnx");
  check_all_cuts("squeezenet_train_op14.onnx");
}

TEST_CASE("exec: dropout, tied weights and values with several consumers cross cuts") {
  check_all_cuts("mlp_dropout_train_op14.onnx");
  check_all_cuts("tied_train_op14.onnx");
  check_all_cuts("branches_train_op14.onnx");
}

TEST_CASE("exec: a stage that others wait for sends gradients before those of its parameters") {
  const auto model = ft::test::golden_model("resnet18_train_op14.onnx", kRows);
  ft::TrainerOptions options;
  options.batch_size = kRows;
  options.defers_gradients = true;
  const Cluster cluster(model, {model->layer_count() / 2}, options, 1);
  CHECK(cluster.stage(0).executor().train().deferred.empty());
  CHECK(cluster.stage(1).executor().train().deferred.size() > 5);
}

TEST_CASE("exec: another seed drops other elements") {
  const auto model = ft::test::golden_model("mlp_dropout_train_op14.onnx", kRows);
  CHECK(train(model, {}, 1, false, 1).hash != train(model, {}, 1, false, 2).hash);
}
