#include "runtime/pipeline/training_difference.h"

#include <doctest/doctest.h>

TEST_CASE("training difference: every option by its name, with both values") {
  ft::net::Training held;
  held.set_batches(200);
  held.set_shuffle(true);
  held.mutable_optimizer()->set_learning_rate(0.01F);
  ft::net::Training asked = held;
  CHECK(ft::training_difference(held, asked).empty());
  asked.set_replicate_every(7);
  CHECK(ft::training_difference(held, asked).empty());
  asked.set_batches(300);
  asked.set_shuffle(false);
  asked.mutable_optimizer()->set_learning_rate(0.5F);
  CHECK(ft::training_difference(held, asked) ==
        "--shuffle (on, not off), --batches (200, not 300), --lr (0.01, not 0.5)");
  asked = held;
  asked.set_evaluation_rows(9);
  CHECK(ft::training_difference(held, asked).find("--data") == 0);
}

TEST_CASE("training difference: numbers as one would write them") {
  CHECK(ft::number_text(0.01F) == "0.01");
  CHECK(ft::number_text(0.9F) == "0.9");
  CHECK(ft::number_text(0.0F) == "0");
}
