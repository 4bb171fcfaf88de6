#pragma once

// Datasets: samples by index, already normalised, and their labels. Order is order.h's business.

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/tensor.h"
#include "runtime/base/status.h"

namespace ft {

enum class Split : uint8_t { kTrain = 0, kTest = 1 };

// Immutable after opening; any thread may read. Samples are float32 in logical order (C, H, W).
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual const Shape& sample_shape() const = 0;
  // Classes, or 0 when the targets are float vectors (mean squared error).
  virtual int64_t classes() const = 0;
  // Elements of one target: 1 for class labels.
  virtual int64_t target_elements() const = 0;
  virtual int64_t count(Split split) const = 0;
  // What it holds in memory for as long as it lives.
  virtual int64_t held_bytes() const { return 0; }
  // One line for people: name, counts, shape, classes, normalisation.
  virtual std::string description() const = 0;

  // Writes sample_shape().element_count() floats. REQUIRES: 0 <= index < count(split).
  virtual void read_sample(Split split, int64_t index, float* sample) const = 0;
  virtual int64_t label(Split split, int64_t index) const = 0;                    // classes() > 0
  virtual void read_target(Split split, int64_t index, float* target) const = 0;  // classes() == 0
};

// Opens what `--data SPEC` names (DESIGN 7): fashion-mnist, idx:DIR, cifar10:DIR, npy:X,Y,
// synthetic:SHAPE:CLASSES[:COUNT]. `seed` makes the synthetic samples.
// Errors: kInvalid, naming the file, what is wrong with it, and the remedy.
Result<std::unique_ptr<Dataset>> open_dataset(const std::string& spec, uint64_t seed);

}  // namespace ft
