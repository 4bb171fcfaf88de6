#include "runtime/pipeline/cut_interval.h"

#include <algorithm>

namespace ft {

void CutInterval::begin(TimeUs now, int64_t every) {
  *this = CutInterval();
  begun_ = now;
  every_ = every;
}

int64_t CutInterval::finished(TimeUs now, bool is_cut, TimeUs snapshot_us) {
  ++batches_;
  if (!is_cut) return 0;
  // The newest cut's own cost is not in yet.
  if (cuts_++ < kCutsMeasured) return 0;
  cut_us_ = snapshot_us / (cuts_ - 1);
  batch_us_ = std::max<TimeUs>((now - begun_) / batches_, 1);
  const int64_t wanted =
      std::clamp(kCutCostShare * cut_us_ / batch_us_ + 1, kCutEveryMin, kCutEveryMax);
  // A quarter more or less is noise.
  if (4 * wanted <= 5 * every_ && 5 * wanted >= 4 * every_) return 0;
  every_ = wanted;
  return every_;
}

}  // namespace ft
