#include "kernels/loss.h"

#include <cmath>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

struct RowResult {
  double loss = 0;
  bool is_correct = false;
  bool is_bad = false;
};

// Rows are computed in any order and added in theirs.
LossResult add_up(const std::vector<RowResult>& rows) {
  LossResult result;
  for (size_t row = 0; row < rows.size(); ++row) {
    if (rows[row].is_bad && result.bad_row < 0) result.bad_row = static_cast<int64_t>(row);
    result.loss_sum += rows[row].loss;
    result.correct += rows[row].is_correct ? 1 : 0;
  }
  return result;
}

// With m = max z and s = sum of exp(z - m): loss = log s - (z[label] - m), and the softmax is
// exp(z - m) / s. No exponent is above 0, so nothing overflows.
RowResult cross_entropy_row(const float* logits, int64_t label, int64_t classes, float grad_scale,
                            float* grad) {
  if (label < 0 || label >= classes) {
    if (grad != nullptr) loops::fill(0.0F, grad, classes);
    return {.is_bad = true};
  }
  int64_t best = 0;
  for (int64_t i = 1; i < classes; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  const float largest = loops::max_element(logits, classes);
  double sum = 0;
  for (int64_t i = 0; i < classes; ++i) {
    const float exponential = std::exp(logits[i] - largest);
    if (grad != nullptr) grad[i] = exponential;
    sum += static_cast<double>(exponential);
  }
  if (grad != nullptr) {
    loops::scale(grad, static_cast<float>(1.0 / sum), grad, classes);
    grad[label] -= 1.0F;
    loops::scale(grad, grad_scale, grad, classes);
  }
  const double distance = static_cast<double>(logits[label]) - static_cast<double>(largest);
  return {.loss = std::log(sum) - distance, .is_correct = best == label};
}

double squared_error_row(const float* output, const float* target, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double difference = static_cast<double>(output[i]) - static_cast<double>(target[i]);
    sum += difference * difference;
  }
  return sum / static_cast<double>(count);
}

}  // namespace

LossResult cross_entropy(const float* logits, const int64_t* labels, int64_t rows, int64_t classes,
                         float grad_scale, float* grad_logits, ThreadPool* pool) {
  std::vector<RowResult> results(static_cast<size_t>(rows));
  parallel_for_rows(pool, rows, classes, [&](int64_t row) {
    float* grad = grad_logits == nullptr ? nullptr : grad_logits + row * classes;
    results[static_cast<size_t>(row)] =
        cross_entropy_row(logits + row * classes, labels[row], classes, grad_scale, grad);
  });
  return add_up(results);
}

LossResult mean_squared_error(const float* output, const float* target, int64_t rows,
                              int64_t row_elements, float grad_scale, float* grad_output,
                              ThreadPool* pool) {
  std::vector<RowResult> results(static_cast<size_t>(rows));
  const float factor = 2.0F / static_cast<float>(row_elements) * grad_scale;
  parallel_for_rows(pool, rows, row_elements, [&](int64_t row) {
    const float* x = output + row * row_elements;
    const float* t = target + row * row_elements;
    results[static_cast<size_t>(row)].loss = squared_error_row(x, t, row_elements);
    if (grad_output == nullptr) return;
    float* grad = grad_output + row * row_elements;
    loops::sub(x, t, grad, row_elements);
    loops::scale(grad, factor, grad, row_elements);
  });
  return add_up(results);
}

}  // namespace ft
