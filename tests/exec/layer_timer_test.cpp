#include "runtime/exec/layer_timer.h"

#include <doctest/doctest.h>

#include "runtime/exec/cpu_probe.h"
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
      CHECK(*time >= 0);
      sum_us += *time;
    }
    CHECK(sum_us > 0);
  }
}

TEST_CASE("cpu probe: every thread gets something done, in no less time than it has the CPU") {
  for (const int threads : {1, 2}) {
    ft::ThreadPool pool(threads);
    const ft::CpuProbe probe = ft::probe_cpu(&pool, 5 * ft::kMillisecondUs);
    CHECK(probe.work > 0);
    CHECK(probe.wall_us >= threads * 5000.0);
    CHECK(probe.cpu_us <= probe.wall_us + threads * 1000.0);
  }
}
