#pragma once

// Optimizers: from a parameter's version to the next one, beside it or in its place. Who may
// overwrite is the caller's to know (DESIGN 3: what somebody refers to is immutable).

#include <cstdint>

#include "kernels/thread_pool.h"

namespace ft {

enum class OptimizerKind : uint8_t { kSgd = 0 };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  float learning_rate = 0.01F;
  float momentum = 0.9F;
  float weight_decay = 0.0F;
  bool nesterov = false;
};

// float32 values of optimizer state per parameter element: sgd keeps one velocity when momentum is
// not 0.
int64_t optimizer_state_slots(const OptimizerOptions& options);

// SGD as PyTorch defines it: g += decay * w; v' = momentum * v + g (v' = g at the first step, which
// v = 0 gives too); d = nesterov ? g + momentum * v' : v'; w' = w - lr * d.
// Shapes: all [count]; state and new_state [optimizer_state_slots * count], null when there is
// none. `weights_out` and `new_state` are `weights` and `state`, or overlap nothing.
void optimizer_step(const OptimizerOptions& options, int64_t count, const float* weights,
                    const float* gradient, const float* state, float* weights_out, float* new_state,
                    ThreadPool* pool);

}  // namespace ft
