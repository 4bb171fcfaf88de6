#include "runtime/exec/layer_timer.h"

#include <doctest/doctest.h>

#include "runtime/exec/cpu_probe.h"
#include "tests/exec/cluster.h"

TEST_CASE("layer timer: every layer of a residual network is timed, with either loss") {
  const auto model = ft::test::golden_model("resnet18_train_op14.onnx", 2);
  ft::ThreadPool pool(1);
  for (const ft::LossKind loss : {ft::LossKind::kCrossEntropy, ft::LossKind::kMeanSquaredError}) {
    ft::TrainerOptions options;
    options.loss = loss;
    options.batch_size = 8;
    options.micro_batches = 4;
    for (const int64_t bytes : {int64_t{0}, int64_t{4} << 20, ft::kTimedTogetherBytes}) {
      int ranges = 0;
      double sum_us = 0;
      for (int first = 0; first < model->layer_count(); ++ranges) {
        CAPTURE(first);
        const ft::LayerRange range = ft::timed_together(*model, first, options, bytes);
        REQUIRE(range.first == first);
        REQUIRE(range.count() > 0);
        const auto times = ft::time_layers(model, range, options, &pool);
        REQUIRE(times.ok());
        REQUIRE(static_cast<int>(times->size()) == range.count());
        for (const double us : *times) sum_us += us;
        first = range.last;
      }
      CHECK(sum_us > 0);
      if (bytes == 0) CHECK(ranges == model->layer_count());
      if (bytes == ft::kTimedTogetherBytes) CHECK(ranges < model->layer_count() / 2);
    }
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
