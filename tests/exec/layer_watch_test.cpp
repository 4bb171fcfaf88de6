#include "runtime/exec/layer_watch.h"

#include <doctest/doctest.h>

#include "runtime/base/clock.h"
#include "runtime/exec/made_up_run.h"
#include "tests/exec/cluster.h"

namespace {

void calculate_for(ft::TimeUs duration_us) {
  const ft::TimeUs until = ft::thread_cpu_now_us() + duration_us;
  while (ft::thread_cpu_now_us() < until) {
  }
}

}  // namespace

TEST_CASE("layer watch: what a node takes is its layer's, in a range that begins anywhere") {
  const auto model = ft::test::golden_model("resnet18_train_op14.onnx", 2);
  const ft::LayerRange range{3, 6};
  const int32_t node_first = model->layers[3].node_first;
  ft::ThreadPool pool(2);
  ft::LayerWatch watch(*model, range, &pool);
  watch.before();
  calculate_for(4 * ft::kMillisecondUs);
  watch.after(model->layers[4].node_first - node_first, true);
  watch.before();
  calculate_for(2 * ft::kMillisecondUs);
  watch.after_layer(2);
  const std::vector<double> layer_us = watch.take();
  REQUIRE(layer_us.size() == 3);
  CHECK(layer_us[0] == 0);
  CHECK(layer_us[1] >= 4000);  // not half of it: the other thread has had nothing to do
  CHECK(layer_us[2] >= 2000);
  CHECK(watch.take() == std::vector<double>(3, 0.0));
}

TEST_CASE("layer watch: a trainer tells of every layer that has kernels or parameters") {
  const auto model = ft::test::golden_model("resnet18_train_op14.onnx", 2);
  ft::ThreadPool pool(1);
  ft::TrainerOptions options;
  options.batch_size = 2;
  for (const bool by_layer : {false, true}) {
    CAPTURE(by_layer);
    options.steps_by_layer = options.one_in_flight = by_layer;
    const auto run = ft::MadeUpRun::create(model, {0, model->layer_count()}, options, &pool);
    REQUIRE(run.ok());
    ft::LayerWatch watch(*model, {0, model->layer_count()}, &pool);
    (*run)->trainer().watch(&watch);
    for (int batch = 0; batch < 20; ++batch) {  // some layers take less than the clock can tell
      REQUIRE((*run)->forward().ok());
      (*run)->backward();
      (*run)->step();
    }
    for (const double us : watch.take()) CHECK(us > 0);
    (*run)->trainer().watch(nullptr);
    REQUIRE((*run)->forward().ok());
    for (const double us : watch.take()) CHECK(us == 0);
  }
}
