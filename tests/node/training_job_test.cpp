#include "runtime/node/training_job.h"

#include <doctest/doctest.h>

namespace ft {

TEST_CASE("training job: an evaluation takes all samples, or whole batches where rows meet") {
  Model model;
  model.batch = 8;
  CHECK(evaluated_samples(model, 18) == 18);
  model.rows_meet = "node 'm' (ReduceMean) takes the mean over the rows of a batch";
  CHECK(evaluated_samples(model, 18) == 16);
  CHECK(evaluated_samples(model, 16) == 16);
  CHECK(evaluated_samples(model, 7) == 0);
}

}  // namespace ft
