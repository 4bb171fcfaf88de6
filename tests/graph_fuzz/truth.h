#pragma once

// Truth: what the judge says of one case: its samples, its first batch, its evaluation; and how far
// a right float32 result may be off.

#include "tests/graph_fuzz/case.h"
#include "tests/graph_fuzz/judge.h"

namespace ft::fuzz {

// What is trained with what; a function of the graph and a seed.
struct Job {
  const Graph* graph = nullptr;  // without what the output does not need
  uint64_t seed = 0;
  uint64_t attempt = 0;  // at values that stay clear of jumps
  int micro_batches = 1;
  int64_t output_elements = 0;
  TrainerOptions trainer = {};
  std::map<std::string, uint32_t> numbers = {};  // Setting::numbers
  std::string planted = {};

  // Samples number (batch, micro-batch), and what the loss wants of them (Loss).
  Array input(int64_t batch, int micro) const;
  std::vector<double> targets(int64_t batch, int micro) const;
};

// What one batch leaves behind.
struct Outcome {
  double loss = 0;
  double kink = 0;    // Evaluation::kink
  Values grads;       // by leaf, of all micro-batches
  Values statistics;  // after the batch
};

class Truth {
 public:
  // Judges batch 0 with the weights `leaves`.
  Truth(const Job& job, const Values& leaves);

  const Outcome& outcome() const { return outcome_; }
  // The largest element of any weight's gradient.
  double largest_gradient() const;
  // Data by the product's names. What is not compared, being too sharp, is counted.
  Verdict check_loss(double found, Counts* counts);
  Verdict check_statistics(const std::map<std::string, const float*>& found, Counts* counts);
  Verdict check_gradients(const std::map<std::string, const float*>& found, Counts* counts);

 private:
  Outcome judge(uint64_t noise) const;
  // The same with errors of float32's size, each time others.
  const std::vector<Outcome>& noisy();

  const Job job_;
  const Values leaves_;
  const Outcome outcome_;
  std::vector<Outcome> noisy_;
};

// The evaluated output for input (batch, 0).
Verdict check_output(const Job& job, const Values& leaves, int64_t batch, const float* found,
                     Counts* counts);

}  // namespace ft::fuzz
