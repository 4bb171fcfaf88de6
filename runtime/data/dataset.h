#pragma once

// Datasets: samples by index, already normalised, and their labels. Order is order.h's business.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/tensor.h"
#include "runtime/base/status.h"

namespace ft {

enum class Split : uint8_t { kTrain = 0, kTest = 1 };

// What the loss takes targets for: class labels (cross-entropy) or float values (mse).
enum class TargetKind : uint8_t { kLabels = 0, kValues = 1 };

// "[N, 2, 3]" for rows of shape {2, 3}.
std::string rows_text(std::span<const int64_t> row);

// Immutable after opening; any thread may read. Samples are float32 in logical order (C, H, W).
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual const Shape& sample_shape() const = 0;
  // Classes, or 0 when the targets are float vectors (mean squared error).
  virtual int64_t classes() const = 0;
  // Of those, how many the training labels use.
  virtual int64_t used_classes() const { return classes(); }
  // Of one target; a scalar's for class labels.
  virtual Shape target_shape() const { return {}; }
  int64_t target_elements() const { return target_shape().element_count(); }
  virtual int64_t count(Split split) const = 0;
  // What it holds in memory for as long as it lives.
  virtual int64_t held_bytes() const { return 0; }
  // One line for people: name, counts, shape, classes, normalisation.
  virtual std::string description() const = 0;
  // What was decided about the files, a sentence each.
  virtual std::vector<std::string> notes() const { return {}; }
  // The file of a split's targets, for messages; empty: there is none.
  virtual std::string targets_name(Split) const { return ""; }

  // Writes sample_shape().element_count() floats. REQUIRES: 0 <= index < count(split).
  virtual void read_sample(Split split, int64_t index, float* sample) const = 0;
  virtual int64_t label(Split split, int64_t index) const = 0;                    // classes() > 0
  virtual void read_target(Split split, int64_t index, float* target) const = 0;  // classes() == 0
};

// Opens what `--data SPEC` names (DESIGN 7): fashion-mnist, idx:DIR, cifar10:DIR, npy:X,Y,
// synthetic:SHAPE:CLASSES[:COUNT]. `seed` makes the synthetic samples. Only npy has values as
// targets; the others have labels whatever `targets` says.
// Errors: kInvalid, naming the file, what is wrong with it, and the remedy.
Result<std::unique_ptr<Dataset>> open_dataset(const std::string& spec, uint64_t seed,
                                              TargetKind targets = TargetKind::kLabels);

}  // namespace ft
