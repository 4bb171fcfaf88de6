#pragma once

// Whole files, read and written with errors that name the path and the cause.

#include <cstddef>
#include <span>
#include <string>

#include "runtime/base/buffer.h"
#include "runtime/base/status.h"

namespace ft {

// Errors: kInvalid when the file is missing, not a regular file, unreadable or above `bytes_max`.
Result<BufferPtr> read_file(const std::string& path, int64_t bytes_max = int64_t{1} << 34);

// Writes beside the target, syncs, renames, syncs the directory: after a crash at any moment the
// path holds the old bytes or the new ones. Errors: kFailed.
Status write_file_atomic(const std::string& path, std::span<const std::byte> bytes);
// The parts, one after the other.
Status write_parts_atomic(const std::string& path,
                          std::span<const std::span<const std::byte>> parts);

// Appends a line and syncs it; the file is made when it is missing. A last line that a crash has
// torn is ended first. Errors: kFailed.
Status append_line_synced(const std::string& path, const std::string& line);

}  // namespace ft
