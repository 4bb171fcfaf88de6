#include "partition/planner.h"

#include <algorithm>
#include <doctest/doctest.h>

#include "tests/partition/plan_cases.h"

using ft::test::equal_layers;
using ft::test::set_cuts;
using ft::test::set_links;
using ft::test::text_of;

namespace {

std::string planned(const ft::PlanRequest& request) {
  const auto plan = ft::make_plan(request);
  return plan.ok() ? text_of(*plan) : plan.status().message();
}

void add_memories(ft::PlanRequest* request, const std::vector<int64_t>& memories) {
  for (size_t d = 0; d < memories.size(); ++d) request->devices[d].memory_bytes = memories[d];
}

}  // namespace

TEST_CASE("memory: versions, gradient, stashes, scratch and snapshots of a range") {
  ft::PlanRequest request = equal_layers(2, {1});
  request.layers[0] = {100, 10, 1000, 7};
  request.layers[1] = {200, 20, 2000, 5};
  // State, 3 older versions, gradient; three stashes; the greater scratch; three more states.
  CHECK(ft::range_memory_bytes(request, {0, 2}, 3) == 300 + 3 * 300 + 30 + 3 * 3000 + 7 + 3 * 300);
  CHECK(ft::range_memory_bytes(request, {1, 2}, 1) == 200 + 20 + 2000 + 5 + 3 * 200);
  request.sync = true;
  request.micro_batches = 4;
  CHECK(ft::range_memory_bytes(request, {0, 2}, 3) == 300 + 2 * 30 + 3 * 3000 + 7 + 3 * 300);
}

// Only a range that begins with layer 0 steps layer by layer, and the cut behind layer 0 is wide.
TEST_CASE("memory: ranges that are asked for, whatever shrinks or grows with them") {
  ft::PlanRequest request = equal_layers(6, {1, 1});
  request.range_bytes = [](const ft::LayerRange& range, int in_flight) {
    return int64_t{100} * range.count() * in_flight + (range.first > 0 ? 150 : 0) +
           (range.last == 1 ? 50 : 0);
  };
  CHECK(ft::range_memory_bytes(request, {1, 3}, 2) == 550);
  const auto fits = [&](const std::vector<int64_t>& memories, int stages) {
    add_memories(&request, memories);
    const auto plan = ft::make_plan(request);
    return plan.ok() && static_cast<int>(plan->stages.size()) == stages;
  };
  CHECK(fits({600, 0}, 1));  // all of them, in one
  CHECK(!fits({599, 0}, 1));
  // 1 and 5 layers, or 2 and 4, which is less for both.
  CHECK(fits({250, 650}, 2));
  CHECK(fits({400, 550}, 2));
  CHECK(!fits({249, 650}, 2));
  CHECK(!fits({250, 649}, 2));
  for (ft::DeviceCost& device : request.devices) device.process_bytes = 7;
  CHECK(ft::predict(request, {0, 1}, {{0, 1}, {1, 6}}).stages[1].memory_bytes == 657);
}

TEST_CASE("predict: the slowest place of an async pipeline is named") {
  ft::PlanRequest request = equal_layers(4, {1, 0.5});
  set_links(&request, {10, 100});
  set_cuts(&request, {1000, 2000});
  ft::Plan plan = ft::predict(request, {0, 1}, {{0, 3}, {3, 4}});
  CHECK(plan.stages[0].compute_us == 3000);
  CHECK(plan.stages[1].compute_us == 2000);
  CHECK(plan.stages[1].input_us == 200);
  CHECK(plan.stages[1].gradient_us == 300);
  CHECK(plan.stages[0].input_us == 0);
  CHECK(plan.batch_us == 3000);
  CHECK(plan.bottleneck == "compute of central");

  set_cuts(&request, {1000, 20000});
  plan = ft::predict(request, {0, 1}, {{0, 3}, {3, 4}});
  CHECK(plan.batch_us == (3000 + 200 + 2100 + 2000) / 2.0);
  CHECK(plan.bottleneck == "round trip from central");

  set_cuts(&request, {1000, 200000});
  plan = ft::predict(request, {0, 1}, {{0, 3}, {3, 4}});
  CHECK(plan.batch_us == 20100);
  CHECK(plan.bottleneck == "link pi4-a -> central");

  request.cuts[0].forward_bytes = 1000000;  // central sends the input to whoever is first
  plan = ft::predict(request, {1}, {{0, 4}});
  CHECK(plan.stages[0].input_us == 100100);
  CHECK(plan.batch_us == 100100);
  CHECK(plan.bottleneck == "link central -> pi4-a");
}

TEST_CASE("predict: a sync batch goes through the slowest place M - 1 times and once through all") {
  ft::PlanRequest request = equal_layers(4, {1, 0.5});
  request.sync = true;
  request.micro_batches = 4;
  set_links(&request, {10, 100});
  set_cuts(&request, {1000, 2000});
  const ft::Plan plan = ft::predict(request, {0, 1}, {{0, 3}, {3, 4}});
  CHECK(plan.batch_us == 3 * 3000 + 3000 + 200 + 300 + 2000);
  CHECK(plan.bottleneck == "compute of central");
}

TEST_CASE("planner: devices of speeds 1, 1 and 0.1 get layers in that ratio") {
  const auto plan = ft::make_plan(equal_layers(21, {1, 1, 0.1}));
  REQUIRE(plan.ok());
  CHECK(text_of(*plan) == "0:0-10 1:10-20 2:20-21");
  CHECK(plan->batch_us == doctest::Approx(10000));
}

TEST_CASE("planner: a device is left out because its link is slow") {
  ft::PlanRequest request = equal_layers(12, {1, 1, 1});
  set_cuts(&request, {10000, 10000});
  set_links(&request, {100, 0});
  CHECK(planned(request) == "0:0-4 1:4-8 2:8-12");
  for (const size_t other : {0, 1}) {
    request.links[2][other].bytes_per_us = 1;
    request.links[other][2].bytes_per_us = 1;
  }
  CHECK(planned(request) == "0:0-6 1:6-12");
}

TEST_CASE("planner: a device is left out because it is too slow for one layer") {
  CHECK(planned(equal_layers(12, {1, 1, 0.1})) == "0:0-6 1:6-12");
}

TEST_CASE("planner: central is left out if sending its input away is cheaper") {
  ft::PlanRequest request = equal_layers(12, {0.01, 1, 1});
  set_links(&request, {100, 0});
  request.cuts[0].forward_bytes = 10000;
  CHECK(planned(request) == "1:0-6 2:6-12");
  request.cuts[0].forward_bytes = 100000000;  // 1 s, as long as a layer on central
  CHECK(planned(request).substr(0, 5) == "0:0-1");
}

TEST_CASE("planner: a device with little memory gets only what fits") {
  ft::PlanRequest request = equal_layers(12, {1, 1});
  for (ft::LayerSize& layer : request.layers) layer.stash_bytes = 100;
  CHECK(planned(request) == "0:0-6 1:6-12");
  add_memories(&request, {1200, 300});  // central keeps two micro-batches of its layers
  CHECK(planned(request) == "1:0-1 0:1-12");
  add_memories(&request, {1800, 300});
  CHECK(planned(request) == "0:0-9 1:9-12");
}

TEST_CASE("planner: two devices that cannot reach each other are never neighbours") {
  ft::PlanRequest request = equal_layers(12, {1, 1, 1});
  request.unreachable = {{1, 2}};
  CHECK(planned(request) == "1:0-4 0:4-8 2:8-12");
  request.unreachable = {{0, 1}, {1, 2}};
  CHECK(planned(request) == "0:0-6 2:6-12");
  request.unreachable = {{0, 1}};  // nor may 1 be first: central sends the input
  CHECK(planned(request) == "0:0-4 2:4-8 1:8-12");
}

TEST_CASE("planner: the order of joining does not matter") {
  std::vector<double> speeds{0.25, 0.5, 1};
  double first_us = 0;
  do {
    ft::PlanRequest request = equal_layers(28, speeds);
    set_links(&request, {100, 100});
    set_cuts(&request, {40000, 40000});
    const auto plan = ft::make_plan(request);
    REQUIRE(plan.ok());
    CAPTURE(text_of(*plan));
    CHECK(plan->stages.size() == 3);
    if (first_us == 0) first_us = plan->batch_us;
    CHECK(plan->batch_us == doctest::Approx(first_us).epsilon(ft::kPlanTolerance));
  } while (std::next_permutation(speeds.begin(), speeds.end()));
  CHECK(first_us == doctest::Approx((3 * 16000 + 4 * 500) / 3.0));  // the first's round trip
}

TEST_CASE("planner: a link of 2 MB/s moves the cut to where little is sent") {
  ft::PlanRequest request = equal_layers(12, {1, 1});
  set_cuts(&request, {100000, 100000});
  request.cuts[8] = {1000, 1000};
  set_links(&request, {1000, 0});
  CHECK(planned(request) == "0:0-6 1:6-12");
  set_links(&request, {2, 0});
  CHECK(planned(request) == "0:0-8 1:8-12");
}

TEST_CASE("planner: a third device that gains nothing stays out, central first") {
  ft::PlanRequest request = equal_layers(3, {1, 1, 1});
  for (ft::DeviceCost& device : request.devices) device.layer_us = {4000, 1000, 1000};
  CHECK(planned(request) == "0:0-1 1:1-3");
}

TEST_CASE("planner: a device that gains a sync batch next to nothing stays out") {
  ft::PlanRequest request = equal_layers(4, {1, 1});
  request.sync = true;
  request.micro_batches = 3;
  // Alone 3 * 4000; with one layer on the other device 2 * 3000 + 3000 + its time.
  request.devices[1].layer_us.assign(4, 2998);
  CHECK(ft::predict(request, {0, 1}, {{0, 3}, {3, 4}}).batch_us == 11998);
  CHECK(planned(request) == "0:0-4");
  request.devices[1].layer_us.assign(4, 2900);
  CHECK(planned(request) == "0:0-3 1:3-4");
}

TEST_CASE("planner: with one micro-batch sync is a matter of the sum, the fastest goes alone") {
  ft::PlanRequest request = equal_layers(12, {1, 2, 1});
  request.sync = true;
  set_links(&request, {100, 1000});
  CHECK(planned(request) == "1:0-12");
  request.micro_batches = 16;
  CHECK(planned(request) == "0:0-3 1:3-9 2:9-12");
}

TEST_CASE("planner: a model that costs nothing has a plan") {
  ft::PlanRequest request = equal_layers(3, {1, 1});
  for (ft::DeviceCost& device : request.devices) device.layer_us.assign(3, 0.0);
  for (const bool sync : {false, true}) {
    request.sync = sync;
    request.micro_batches = sync ? 4 : 1;
    CHECK(planned(request) == "0:0-3");
  }
}

TEST_CASE("planner: what does not fit is refused with the numbers") {
  ft::PlanRequest request = equal_layers(2, {1, 1});
  for (ft::LayerSize& layer : request.layers) layer.stash_bytes = 100 << 20;
  add_memories(&request, {150 << 20, 120 << 20});
  CHECK(planned(request) ==
        "the model fits no choice of devices: it needs 200.0 MiB in total at least; memory for "
        "layers, beside the program and the model file: central 150.0 MiB, pi4-a 120.0 MiB. Add a "
        "device or memory, or take a smaller batch or more micro-batches.");
  request.layers[1].stash_bytes = 180 << 20;
  request.unreachable = {{0, 1}};
  CHECK(planned(request) ==
        "the model fits no choice of devices: it needs 280.0 MiB in total at least, 180.0 MiB of "
        "it for layer 1 alone; memory for layers, beside the program and the model file: central "
        "150.0 MiB, pi4-a 120.0 MiB; central and pi4-a cannot reach each other. Add a device, a "
        "connection or memory, or take a smaller batch or more micro-batches.");
}
