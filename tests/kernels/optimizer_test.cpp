#include "kernels/optimizer.h"

#include <cmath>
#include <doctest/doctest.h>

#include "tests/kernels/op_case.h"

namespace ft {
namespace {

struct State {
  std::vector<double> weights;
  std::vector<double> velocity;
};

// optimizer.h in double precision.
void reference_step(const OptimizerOptions& options, const std::vector<float>& gradient,
                    State* state) {
  for (size_t i = 0; i < gradient.size(); ++i) {
    const double g = gradient[i] + static_cast<double>(options.weight_decay) * state->weights[i];
    double& v = state->velocity[i];
    v = options.momentum * v + g;
    const double step = options.nesterov ? g + options.momentum * v : v;
    state->weights[i] -= options.learning_rate * step;
  }
}

void check_steps(const OptimizerOptions& options, int64_t count) {
  const auto size = static_cast<size_t>(count);
  std::vector<float> weights = random_floats(1, 0, count, -1, 1);
  std::vector<float> velocity(size, 0.0F);
  State expected{{weights.begin(), weights.end()}, std::vector<double>(size, 0.0)};
  ThreadPool pool(1);
  ThreadPool three(3);
  for (uint32_t step = 0; step < 4; ++step) {
    const auto gradient = random_floats(2, step, count, -1, 1);
    const bool has_state = optimizer_state_slots(options) == 1;
    std::vector<float> next(size);
    std::vector<float> next_velocity(size);
    std::vector<float> next_of_three(size);
    const auto run = [&](ThreadPool* with, std::vector<float>* out) {
      optimizer_step(options, count, weights.data(), gradient.data(),
                     has_state ? velocity.data() : nullptr, out->data(),
                     has_state ? next_velocity.data() : nullptr, with);
    };
    run(&three, &next_of_three);
    run(&pool, &next);
    CHECK(next == next_of_three);
    reference_step(options, gradient, &expected);
    double difference = 0;
    for (size_t i = 0; i < size; ++i) {
      difference = std::max(difference, std::abs(next[i] - expected.weights[i]));
    }
    CHECK(difference < 1e-6);
    weights = next;
    velocity = next_velocity;
  }
}

}  // namespace

TEST_CASE("sgd: plain, with decay, momentum and Nesterov, as PyTorch defines them") {
  check_steps({.learning_rate = 0.1F, .momentum = 0}, 40001);
  check_steps({.learning_rate = 0.1F, .momentum = 0, .weight_decay = 0.01F}, 77);
  check_steps({.learning_rate = 0.1F, .momentum = 0.9F}, 77);
  check_steps({.learning_rate = 0.1F, .momentum = 0.9F, .weight_decay = 0.01F}, 40001);
  check_steps({.learning_rate = 0.1F, .momentum = 0.9F, .weight_decay = 0.01F, .nesterov = true},
              77);
}

TEST_CASE("sgd: a velocity only with momentum") {
  CHECK(optimizer_state_slots({.momentum = 0}) == 0);
  CHECK(optimizer_state_slots({.momentum = 0.5F}) == 1);
}

}  // namespace ft
