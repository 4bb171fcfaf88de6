#include "kernels/optimizer.h"

#include "kernels/parallel.h"
#include "kernels/simd/loops.h"
#include "runtime/base/check.h"

namespace ft {

int64_t optimizer_state_slots(const OptimizerOptions& options) {
  FT_CHECK(options.kind == OptimizerKind::kSgd);
  return options.momentum != 0 ? 1 : 0;
}

void optimizer_step(const OptimizerOptions& options, int64_t count, const float* weights,
                    const float* gradient, const float* state, float* weights_out, float* new_state,
                    ThreadPool* pool) {
  const bool has_velocity = optimizer_state_slots(options) > 0;
  FT_CHECK(!has_velocity || (state != nullptr && new_state != nullptr));
  const SgdFactors factors = {.learning_rate = options.learning_rate,
                              .momentum = options.momentum,
                              .weight_decay = options.weight_decay,
                              .nesterov = options.nesterov};
  parallel_for_elements(pool, count, [&](int64_t first, int64_t last) {
    loops::sgd_step(factors, weights + first, gradient + first,
                    has_velocity ? state + first : nullptr, weights_out + first,
                    has_velocity ? new_state + first : nullptr, last - first);
  });
}

}  // namespace ft
