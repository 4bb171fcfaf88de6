#pragma once

// LossWatch: tells once when the loss has grown beyond use. A pure function of the losses of
// batches 0, 1, 2, ...: the same run tells at the same batch, however often it was interrupted.
//
// The best loss is the smallest mean over a window of batches so far (256 samples, 32 batches at
// least; shorter at the beginning, but of 16 samples). The loss has grown beyond use when
//   - the last batches (32 samples, 4 batches at least), each of them, are above 10 times the best,
//     and above half of what training began with, or
//   - the last 16 samples' batches are above 10,000 times the best and 10 times the beginning.
// Single batches that are far off never suffice where batches are small, and a model that has
// learned a lot may lose some of it again: both are ordinary.

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace ft {

struct LossGrowth {
  int64_t batch = 0;  // the newest
  int64_t since = 0;  // the last batch of the best window
  double factor = 0;  // mean of the last batches over the best
};

class LossWatch {
 public:
  explicit LossWatch(int64_t batch_size);

  // The loss of a batch; batches in order. One that was told before (and is trained again after a
  // failure) is ignored.
  std::optional<LossGrowth> add(int64_t batch, double loss);

 private:
  // One of the two rules.
  struct Rule {
    size_t last_count;  // batches that have to be above
    double over_best;   // ... that many times the best
    double over_beginning;
    std::deque<double> last;
    std::deque<double> window;  // what came before them
    int64_t best_at = -1;
    double best = 0;
    double beginning = 0;
  };
  bool has_grown(Rule* rule, int64_t batch, double loss, LossGrowth* growth) const;

  size_t window_min_;
  size_t window_max_;
  std::vector<Rule> rules_;
  int64_t next_ = 0;
  bool told_ = false;
};

}  // namespace ft
