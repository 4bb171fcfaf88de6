#include "runtime/observe/plan_picture.h"

#include <doctest/doctest.h>

TEST_CASE("plan picture: a line for each device, then what to expect and what limits it") {
  ft::PlanReport plan;
  plan.devices = {{"laptop", {0, 31}, 20'000, 0, 64 << 20},
                  {"pi4", {31, 54}, 10'000, 1500, 32 << 20},
                  {"pi3", {}, 0, 0, 0}};
  plan.batch_us = 20'000;
  plan.images_per_second = 3200;
  plan.images_per_second_before = 1000;
  plan.bottleneck = "compute of laptop";
  CHECK(
      ft::plan_picture(plan) ==
      "  laptop [  0,  31) ########################    20.0 ms a batch, 0.0 ms in transit, 64 MiB\n"
      "  pi4    [ 31,  54) ############............    10.0 ms a batch, 1.5 ms in transit, 32 MiB\n"
      "  pi3    no layers: holds replicas\n"
      "  a batch in 20.0 ms: 3200 images/s instead of 1000; the limit is compute of laptop\n");
}
