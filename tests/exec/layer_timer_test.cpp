#include "runtime/exec/layer_timer.h"

#include <doctest/doctest.h>

#include "tests/exec/cluster.h"

TEST_CASE("layer timer: every layer of a residual network can be timed alone, with either loss") {
  const auto model = ft::test::golden_model("resnet18_train_op14.onnx", 2);
  ft::ThreadPool pool(1);
  for (const ft::LossKind loss : {ft::LossKind::kCrossEntropy, ft::LossKind::kMeanSquaredError}) {
    ft::TrainerOptions options;
    options.loss = loss;
    options.batch_size = 8;
    options.micro_batches = 4;
    double sum_us = 0;
    for (int layer = 0; layer < model->layer_count(); ++layer) {
      CAPTURE(layer);
      const auto time = ft::time_layer(model, layer, options, &pool);
      REQUIRE(time.ok());
      CHECK(time->median_us >= 0);
      sum_us += time->average_us;
    }
    CHECK(sum_us > 0);
  }
}
