#include "runtime/pipeline/schedule.h"

#include <algorithm>

namespace ft {

int64_t version_used(const net::Training& training, const StagePlace& place, int64_t batch) {
  if (training.schedule() == net::kSync) return batch - 1;
  return std::max(batch - (place.stages - place.stage), place.resumed_version);
}

int64_t mean_from(const net::Training& training, const StagePlace& place, int64_t batch) {
  const int64_t every = training.aggregate_every();
  if (training.schedule() == net::kSync || every <= 0 || (batch + 1) % every != 0) return batch;
  return std::max(place.resumed_version, batch - (place.stages - place.stage) + 1);
}

int64_t oldest_needed(const net::Training& training, const StagePlace& place, int64_t version) {
  return std::min(version_used(training, place, version + 1), version);
}

bool defers_gradients(const net::Training& training, const StagePlace& place) {
  constexpr int kFewStages = 3;
  if (place.stage == 0) return false;  // nobody waits for it
  return training.schedule() == net::kSync || place.stages > kFewStages;
}

bool is_evaluated(const net::Training& training, int64_t version) {
  if (!training.evaluate() || version < 0) return false;
  return (version + 1) % training.batches_per_epoch() == 0 || version == training.batches() - 1;
}

bool is_cut(const net::Training& training, int64_t version) {
  const int64_t every = training.replicate_every();
  return is_evaluated(training, version) ||
         (every > 0 && version >= 0 && (version + 1) % every == 0);
}

bool is_global_cut(const net::Training& training, int64_t version) {
  const int64_t every = training.replicate_every() * training.global_every();
  return every > 0 && version >= 0 && (version + 1) % every == 0;
}

}  // namespace ft
