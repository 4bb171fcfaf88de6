#include "partition/suffix_step.h"

#include <algorithm>

namespace ft {

FrontStage::FrontStage(CostTable* table, int device, int stages)
    : before_us(table->before(device).data()),
      begin_us(table->begin_us(device).data()),
      end_us(table->end_us(device).data()),
      range_end(table->range_end(device, stages).data()) {}

namespace {

// The cuts that can still end a range that begins at some first layer or before it, by falling key;
// the array is filled from its end. First layers come in descending order, so that each cut added
// is nearer than all others.
class Window {
 public:
  Window(const FrontStage& stage, const double* key, int* cuts, int capacity)
      : stage_(stage), key_(key), cuts_(cuts), head_(capacity), tail_(capacity) {}

  bool empty() const { return head_ == tail_; }

  void add(int cut) {
    if (key_[cut] == kNever) return;
    // A farther cut is no better, unless the bytes at this one cost so much that the limit forbids
    // it.
    while (!empty() && is_before(cut) && stage_.end_us[cuts_[head_]] >= stage_.end_us[cut]) ++head_;
    int at = --head_;
    for (; at + 1 < tail_ && key_[cuts_[at + 1]] >= key_[cut]; ++at) cuts_[at] = cuts_[at + 1];
    cuts_[at] = cut;
  }

  // The least key of the cuts that a range from this first layer on may end at.
  double least_key(int first) {
    // Without the bytes at cuts, a range too long for one layer is too long for all before. Not so
    // in memory: only a range that begins with the model's first layer steps layer by layer.
    const auto too_long = [&](const double* begin_us, const double* end_us, int cut) {
      return end_us[cut] - begin_us[first] > stage_.limit_us;
    };
    while (!empty() && too_long(stage_.before_us, stage_.before_us, cuts_[tail_ - 1])) --tail_;
    for (int at = tail_; at-- > head_;) {
      if (cuts_[at] > stage_.range_end[first]) continue;
      if (!too_long(stage_.begin_us, stage_.end_us, cuts_[at])) return key_[cuts_[at]];
    }
    return kNever;
  }

 private:
  bool is_before(int cut) const { return key_[cuts_[head_]] >= key_[cut]; }

  const FrontStage& stage_;
  const double* key_;
  int* cuts_;
  int head_;
  int tail_;
};

}  // namespace

CutSpan put_in_front(const FrontStage& stage, const double* key, const CutSpan& span,
                     double* latency, int* cuts) {
  Window window(stage, key, cuts, span.last + 1);
  CutSpan written;
  for (int i = span.last - 1; i >= 0; --i) {
    const int added = i + 1;
    if (added >= span.first) window.add(added);
    double least = window.least_key(i) - stage.begin_us[i];
    if (window.empty() && added <= span.first) break;
    if (i > stage.first_max) continue;
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
