#pragma once

// A dataset whose samples and targets are arrays in memory: what every file format ends in. The
// checks that all formats share (counts that agree, labels in range, finite numbers) are here.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/data/dataset.h"
#include "runtime/data/labels.h"
#include "runtime/data/number_array.h"

namespace ft {

constexpr int64_t kSamplesMax = int64_t{1} << 31;

// A byte x of channel c (axis 0 of the sample) becomes (x/255 - means[c]) / deviations[c]; one
// entry stands for all channels. Samples of other types are left as they are.
struct ByteScale {
  std::vector<double> means = {0};
  std::vector<double> deviations = {1};
  std::string text = "x/255";  // for description()
};

struct ArraySplit {
  std::string samples_path;  // for messages
  std::string targets_path;
  NumberArray samples;  // [N, ...]; without bytes: there is no such split
  NumberArray targets;  // [N, ...]; of any type
};

struct ArraySource {
  std::string name;
  int64_t classes = 0;  // 0: the highest label plus one, or none with values as targets
  ByteScale scale;
  std::array<ArraySplit, 2> splits;  // by Split
};

// Errors: kInvalid, naming the file, the row, the value and the remedy.
Result<std::unique_ptr<Dataset>> make_array_dataset(ArraySource source,
                                                    TargetKind targets = TargetKind::kLabels);

}  // namespace ft
