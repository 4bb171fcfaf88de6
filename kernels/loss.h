#pragma once

// Losses: appended after the model's output on the last stage.

#include <cstdint>

#include "kernels/thread_pool.h"

namespace ft {

struct LossResult {
  double loss_sum = 0;   // summed over the rows, not divided
  int64_t correct = 0;   // rows whose largest logit is the label (first one of equals)
  int64_t bad_row = -1;  // a row whose label is outside [0, classes); -1 if none
};

// Softmax and cross-entropy of logits [rows, classes] against labels [rows]. When grad_logits is
// not null it gets (softmax - onehot) * grad_scale; grad_scale is 1 / batch size, so that the
// gradients of a batch's micro-batches add up to those of the mean loss.
LossResult cross_entropy(const float* logits, const int64_t* labels, int64_t rows, int64_t classes,
                         float grad_scale, float* grad_logits, ThreadPool* pool);

// Mean over the elements of a row of (output - target)^2, summed over the rows. `correct` stays 0.
// grad_output gets 2 (output - target) / row_elements * grad_scale.
LossResult mean_squared_error(const float* output, const float* target, int64_t rows,
                              int64_t row_elements, float grad_scale, float* grad_output,
                              ThreadPool* pool);

}  // namespace ft
