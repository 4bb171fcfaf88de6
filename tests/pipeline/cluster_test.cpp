// The state machines against the oracle, over many seeds and shapes.

#include "tests/pipeline/cluster.h"

#include <algorithm>
#include <doctest/doctest.h>

using ft::test::Cluster;
using ft::test::ClusterOptions;

namespace {

void check_run(const ClusterOptions& options) {
  CAPTURE(options.seed);
  CAPTURE(options.stages);
  CAPTURE(options.sync);
  Cluster cluster(options);
  REQUIRE(cluster.run());
  REQUIRE_MESSAGE(cluster.status().ok(), cluster.status().message());
  CHECK(cluster.final_digests() == ft::test::oracle(options, cluster.record()));
  CHECK(cluster.stages_exited() == options.stages - 1);
  REQUIRE(static_cast<int64_t>(cluster.batches().size()) == options.batches);
  for (int64_t batch = 0; batch < options.batches; ++batch) {
    CHECK(cluster.batches()[static_cast<size_t>(batch)].batch == batch);
  }
  for (int stage = 0; stage < options.stages; ++stage) {
    CHECK(cluster.in_flight_max(stage) <= options.stages - stage);
  }
  const int64_t epochs =
      (options.batches + options.batches_per_epoch - 1) / options.batches_per_epoch;
  const int64_t expected = options.evaluation_batches > 0 ? epochs : 0;
  REQUIRE(static_cast<int64_t>(cluster.evaluations().size()) == expected);
  for (const auto& evaluation : cluster.evaluations()) {
    CHECK(evaluation.rows == options.evaluation_batches * 2);
  }
}

}  // namespace

TEST_CASE("cluster: sync gives the oracle's state for any number of stages") {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    options.sync = true;
    options.stages = static_cast<int>(seed % 5) + 1;
    options.micro_batches = static_cast<int>(seed / 5 % 4) + 1;
    check_run(options);
  }
}

TEST_CASE("cluster: async gives the oracle's state, with and without aggregation") {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    options.stages = static_cast<int>(seed % 5) + 1;
    options.aggregate_every = static_cast<int>(seed / 5 % 4);
    check_run(options);
  }
}

TEST_CASE("cluster: evaluation changes nothing") {
  for (const bool sync : {false, true}) {
    ClusterOptions options;
    options.sync = sync;
    Cluster with(options);
    options.evaluation_batches = 0;
    options.seed = 3;
    Cluster without(options);
    REQUIRE(with.run());
    REQUIRE(without.run());
    CHECK(with.final_digests() == without.final_digests());
  }
}

TEST_CASE("cluster: epochs do not drain the pipeline") {
  ClusterOptions options;
  options.batches_per_epoch = 1;
  options.stages = 4;
  Cluster cluster(options);
  REQUIRE(cluster.run());
  CHECK(cluster.in_flight_max(0) == 4);
}

namespace {

void check_recovery(const ClusterOptions& options, int* recoveries) {
  CAPTURE(options.seed);
  CAPTURE(options.stages);
  CAPTURE(options.sync);
  Cluster cluster(options);
  REQUIRE(cluster.run());
  REQUIRE_MESSAGE(cluster.status().ok(), cluster.status().message());
  CHECK(cluster.final_digests() == ft::test::oracle(options, cluster.record()));
  // Every batch is reported, in order, and again only when it was rolled back.
  int64_t next = 0;
  int64_t newest = -1;
  for (const auto& batch : cluster.batches()) {
    CHECK(batch.batch <= next);
    CHECK(batch.replayed == (batch.batch <= newest));
    next = batch.batch + 1;
    newest = std::max(newest, batch.batch);
  }
  CHECK(newest == options.batches - 1);
  for (const auto& reconfigured : cluster.reconfigurations()) {
    if (reconfigured.term == 1) continue;
    ++*recoveries;
  }
  const int64_t epochs =
      (options.batches + options.batches_per_epoch - 1) / options.batches_per_epoch;
  REQUIRE(static_cast<int64_t>(cluster.evaluations().size()) == epochs);
}

}  // namespace

TEST_CASE("cluster: stages crash at any moment and nothing is lost") {
  int recoveries = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    options.sync = seed % 2 == 0;
    options.stages = 2 + static_cast<int>(seed % 4);
    options.batches = 20;
    options.crashes = 1 + static_cast<int>(seed / 4 % 3);
    options.aggregate_every = static_cast<int>(seed % 3);
    options.join_after = seed % 5 == 0 ? 60 : 0;
    check_recovery(options, &recoveries);
  }
  CHECK(recoveries > 300);
}
