#pragma once

// A checkpoint file: every layer's snapshot at one version, checksummed, written so that a crash
// leaves the old file or the new one. docs/run_directory.md has the format byte for byte.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/buffer.h"
#include "runtime/base/digest.h"
#include "runtime/base/status.h"

namespace ft {

struct Checkpoint {
  Sha256 model{};  // of the ONNX file
  int64_t version = -1;
  uint64_t term = 0;  // that computed it: whether it is void shows beside the record
  std::vector<ConstBufferPtr> snapshots;  // by layer
};

// Errors: kFailed, naming the path.
Status write_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Errors: kInvalid when the file is missing, torn, damaged or of another format version.
Result<Checkpoint> read_checkpoint(const std::string& path);

}  // namespace ft
