#include "partition/suffix_step.h"

#include <algorithm>

#include "partition/cost_table.h"

namespace ft {

CutSpan put_in_front(const FrontStage& stage, const double* key, const CutSpan& span,
                     double* latency, int* window) {
  // The window holds the cuts that can still be the best of this first layer or of one before it:
  // descending cuts, ascending keys. A cut with a greater key than a nearer one never is.
  int head = 0;
  int tail = 0;
  CutSpan written;
  for (int i = span.last - 1; i >= 0; --i) {
    const int added = i + 1;
    if (added >= span.first && key[added] < kNever) {
      while (tail > head && key[window[tail - 1]] >= key[added]) --tail;
      window[tail++] = added;
    }
    // A range too long for layer i is too long for all layers before.
    const auto too_long = [&](int cut) {
      const double us = stage.before_us[cut] - stage.before_us[i] + stage.besides_us;
      return cut > stage.range_end[i] || us > stage.limit_us;
    };
    while (head < tail && too_long(window[head])) ++head;
    if (head == tail && added <= span.first) break;
    if (i > stage.first_max) continue;
    double least = kNever;
    if (head < tail) least = key[window[head]] - stage.before_us[i];
    if (least > stage.latency_us_max || least + stage.ahead_us[i] > stage.total_us_max) {
      least = kNever;
    }
    latency[i] = least;
    if (least == kNever) continue;
    written.first = i;
    written.last = std::max(written.last, i);
  }
  return written;
}

}  // namespace ft
