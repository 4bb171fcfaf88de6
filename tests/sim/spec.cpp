#include "tests/sim/spec.h"

namespace ft::sim {

net::Training RunSpec::training() const {
  net::Training training;
  training.set_schedule(sync ? net::kSync : net::kAsync);
  training.set_micro_batches(micros());
  training.set_aggregate_every(aggregate_every);
  training.set_batch_size(kRows * micros());
  training.set_batches(batches);
  training.set_batches_per_epoch(batches_per_epoch);
  training.set_evaluate(evaluation_batches > 0);
  training.set_evaluation_batches(evaluation_batches);
  training.set_evaluation_rows(evaluation_rows());
  training.set_replicate_every(cut_every);
  training.set_global_every(global_every);
  training.set_data("simulated");
  return training;
}

RunSpec draw_spec(Dice* dice) {
  RunSpec spec;
  spec.stages = static_cast<int>(dice->between(1, 4));
  spec.layers = static_cast<int>(dice->between(3, 8));
  spec.sync = dice->chance(40);
  spec.micro_batches = static_cast<int>(dice->between(1, 3));
  spec.aggregate_every = spec.sync || dice->chance(60) ? 0 : static_cast<int>(dice->between(2, 4));
  spec.batches = dice->between(8, 24);
  spec.batches_per_epoch = dice->between(4, 10);
  spec.evaluation_batches = dice->chance(50) ? dice->between(1, 3) : 0;
  spec.cut_every = dice->between(2, 4);
  spec.global_every = dice->between(1, 3);
  // A few models are so large that snapshots travel in chunks.
  const bool large = dice->chance(4);
  for (int layer = 0; layer < spec.layers; ++layer) {
    spec.layer_bytes.push_back(large ? dice->between(200'000, 700'000)
                                     : kStateBytes + dice->below(300));
  }
  spec.model_bytes = large ? 600'000 : dice->between(100, 500);
  spec.task_us = dice->between(1, 15) * kMillisecondUs;
  spec.latency_us = dice->between(100, 4000);
  spec.bytes_per_s = large ? dice->between(5, 40) * 1'000'000 : 100'000'000;
  spec.dynamic = dice->chance(50);
  spec.eager = true;
  return spec;
}

}  // namespace ft::sim
