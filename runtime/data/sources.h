#pragma once

// The openers behind `--data`, one file each; dataset.cpp has the table. `rest` is what follows the
// first colon of the specification.

#include <memory>
#include <string>

#include "runtime/base/status.h"
#include "runtime/data/dataset.h"

namespace ft {

// Debian's package, or the four files in the folder that FTRUN_FASHION_MNIST_DIR names.
// (x/255 - 0.2860) / 0.3530.
Result<std::unique_ptr<Dataset>> open_fashion_mnist();

// A folder of files with MNIST's names, plain or .gz; the test pair may be absent. Images of rank 3
// get one channel. x/255; classes: highest training label plus one.
Result<std::unique_ptr<Dataset>> open_idx(const std::string& directory);

// The binary version of CIFAR-10: data_batch_1.bin to _5, test_batch.bin (may be absent).
Result<std::unique_ptr<Dataset>> open_cifar10(const std::string& directory);

// X,Y or X,Y,XTEST,YTEST; bytes are scaled by 1/255, floats are left as they are. Targets of any
// type become what `targets` says (labels.h).
Result<std::unique_ptr<Dataset>> open_npy(const std::string& paths, TargetKind targets);

// SHAPE:CLASSES[:COUNT]; no test split.
Result<std::unique_ptr<Dataset>> open_synthetic(const std::string& rest, uint64_t seed);

}  // namespace ft
