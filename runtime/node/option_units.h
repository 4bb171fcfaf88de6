#pragma once

// Times and sizes as a person writes them on a command line or in a file.

#include <cstdint>
#include <string>

#include "runtime/base/clock.h"
#include "runtime/base/status.h"

namespace ft {

// "512MB", "64MiB", "2G", "1000000" -> bytes. Errors: kInvalid.
Result<int64_t> parse_bytes(const std::string& text);

// "1s", "250ms", "2.5s" -> microseconds. Errors: kInvalid.
Result<TimeUs> parse_duration(const std::string& text);

}  // namespace ft
