#pragma once

// Files that may be gzip-compressed, read whole and never larger than a limit. zlib.h stops in
// gzip.cpp.

#include <cstdint>
#include <string>

#include "runtime/base/buffer.h"
#include "runtime/base/status.h"

namespace ft {

// The bytes of a file as they are, or decompressed when it starts with gzip's magic. The size that
// the gzip trailer claims is checked against what so many compressed bytes can hold before memory
// is allocated, and against the stream (as is its CRC) afterwards.
// Errors: kInvalid: missing, unreadable, damaged, several gzip members, or above `bytes_max`.
Result<BufferPtr> read_file_or_gzip(const std::string& path, int64_t bytes_max);

}  // namespace ft
